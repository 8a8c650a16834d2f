"""How sure a share is."""

import math

Z_95 = 1.959963984540054


def wilson(k: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Score interval for k successes of n (Wilson 1927, JASA 22:209-212); n must be positive, and need not be whole."""
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # At the ends the formula gives 0 and 1 exactly, and floating point nearly so.
    return (0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)
