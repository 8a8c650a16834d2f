"""Every reason a verdict can give, in one enumeration, so that funnels and cards never meet a free-text reason."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a row was kept or dropped; the verdict's `detail` says it for the one row."""

    KEPT = "kept"
    # source
    MALFORMED_LINE = "malformed_line"
    MISSING_FIELD = "missing_field"
    EMPTY_CAPTION = "empty_caption"
    EMPTY_PROBLEM = "empty_problem"
    UNGRADABLE_ANSWER = "ungradable_answer"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_ROW = "duplicate_row"
    MISSING_FILE = "missing_file"
    PATH_ESCAPES = "path_escapes"
    UNREADABLE_IMAGE = "unreadable_image"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_TOO_SMALL = "image_too_small"
    SEVERAL_IMAGES = "several_images"
    UNSELECTED_SPLIT = "unselected_split"
    UNSELECTED_PART = "unselected_part"
    # download
    DEAD_LINK = "dead_link"
    DOWNLOAD_FAILED = "download_failed"
    ADDRESS_REFUSED = "address_refused"
    # teacher
    NO_VALID_QUESTION = "no_valid_question"
    # perception
    IMAGE_RIGHT = "right_from_image"
    CAPTION_WRONG = "wrong_from_caption"
    IMAGE_UNKNOWN = "unknown_from_image"
    CAPTION_UNKNOWN = "unknown_from_caption"
    # rollouts
    NOT_MEASURED = "not_measured"
    TOO_HARD = "pass_rate_too_low"
    TOO_EASY = "pass_rate_too_high"
    # corpus
    NEAR_DUPLICATE = "near_duplicate"
    CONTAMINATED = "contaminated"
