"""Words that answers are read with, as sets."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


FUNCTIONS = words("sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan asin acos atan log ln lg exp sqrt abs")
#: Names that ASCII answers write out, and the command that means the same.
NAMES = {
    name: "\\" + name for name in words("pi theta alpha beta gamma lambda mu omega phi infty max min gcd lcm det deg")
} | {"inf": r"\infty", "infinity": r"\infty"}
#: Commands that stand for a value by themselves.
LETTERS = words(
    """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar ldots dots
    cdots odot partial nabla emptyset square bigcirc star prime Re Im
    """
)
#: Words of up to three letters that would pass for a product of symbols.
SHORT_WORDS = words(
    """
    act add age ago aid aim air all and any arc are arm art ask ate bad bag ban bar bat bay bed bee beg bet bid big
    bit bow box boy bug bus but buy bye cab can cap car cat cow cry cup cut dad day did die dig dim dip dog dot dry
    due dye ear eat egg ego end eve eye fan far fat fax fed fee few fig fin fit fix fly fog for fox fun fur gap gas
    get gin god got gum gun gut guy gym had has hat hay hen her hey hid him hip his hit hop hot how hub hug hut ice
    ill ink inn ion its jam jar jaw jet job joy key kid kin kit lab lap law lay led leg let lid lie lip lit log lot
    low mad man map mat may men met mid mix mob mom mud net new nil nor not now nut oak odd off oil old one our out
    owe own pad pan pat pay pea pen per pet pie pig pin pit pop pot pro put rag ran rat raw ray red rid rim rip rob
    rod row rub rug run sad sat saw say sea see set sew sex she shy sin sip sir sit six ski sky son spy sub sum sun
    tab tag tan tap tax tea ten the tie tin tip toe ton too top toy try two use van via war was wax way web wet who
    why win wit won yes yet you zip zoo ad am an as at be by do ex go ha he hi id if in is it la ma me my no of oh
    ok on or ox pa so to tv uk up us vs we ye
    """
)
#: Words that join others, so that they are no product even among mathematical signs.
JOINING = words("an and as at be by do for if in is it no nor not of on or so the to we")
#: What no counted thing is called.
NOT_COUNTED = words(
    """
    million billion trillion thousand hundred dozen half and or not no if for with when where is are to from than am
    pm pi either both none all only at least most about
    """
)
#: Words for small numbers, and for the powers of ten that follow a number.
NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
        )
    )
}  # fmt: skip
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
