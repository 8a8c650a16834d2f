"""Every reason a verdict can give, in one enumeration, so that funnels and cards never meet a free-text reason."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a row was kept or dropped; the verdict's `detail` says it for the one row."""

    KEPT = "kept"
    # source
    MALFORMED_LINE = "malformed_line"
    INCOMPLETE_FILE = "incomplete_file"
    MISSING_FIELD = "missing_field"
    EMPTY_CAPTION = "empty_caption"
    EMPTY_PROBLEM = "empty_problem"
    MISSING_OPTIONS = "missing_options"
    UNGRADABLE_ANSWER = "ungradable_answer"
    CONTRADICTED = "contradicting_answers"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_ROW = "duplicate_row"
    MISSING_FILE = "missing_file"
    PATH_ESCAPES = "path_escapes"
    UNREADABLE_IMAGE = "unreadable_image"
    UNREADABLE_PIXELS = "unreadable_pixels"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_TOO_SMALL = "image_too_small"
    SEVERAL_IMAGES = "several_images"
    NEEDS_PICTURE = "needs_picture"  # also of the filter of that name
    UNSELECTED_SPLIT = "unselected_split"
    UNSELECTED_PART = "unselected_part"
    # download
    DEAD_LINK = "dead_link"
    DOWNLOAD_FAILED = "download_failed"
    ADDRESS_REFUSED = "address_refused"
    # teacher
    NO_VALID_QUESTION = "no_valid_question"
    # any filter after the first
    NOT_ASKED = "not_asked"
    NOT_NEEDED = "not_needed"  # another filter of the probe dropped the row before its replies were asked for
    # of a filter without a reason of its own, which says more in the verdict's detail
    RULED_OUT = "ruled_out"
    # readable, beside those of source
    IMAGE_TOO_NARROW = "image_too_narrow"
    BLANK_PICTURE = "blank_picture"
    # wellformed
    NOT_FOUR_OPTIONS = "not_four_options"
    OPTIONS_ALIKE = "options_alike"
    KEY_MISSING = "key_missing"
    NO_QUESTION = "not_a_question"
    CAPTION_NAMED = "names_the_caption"
    TOO_LONG = "text_too_long"
    GIVEAWAY = "option_gives_itself_away"
    # asks_for_proof
    ASKS_FOR_PROOF = "asks_for_proof"
    # leak
    ANSWER_QUOTED = "answer_in_question"
    # perception
    IMAGE_RIGHT = "right_from_image"
    CAPTION_WRONG = "wrong_from_caption"
    IMAGE_UNKNOWN = "unknown_from_image"
    CAPTION_UNKNOWN = "unknown_from_caption"
    # blind
    BLIND_RIGHT = "right_without_image"
    BLIND_UNKNOWN = "unknown_without_image"
    # swapped
    SWAP_UNCHANGED = "unchanged_by_another_image"
    SWAP_UNKNOWN = "unknown_with_another_image"
    # consistent
    INCONSISTENT = "choice_changes_with_order"
    CONSISTENCY_UNKNOWN = "unknown_in_some_order"
    # agreed_other
    AGREED_OTHER = "solvers_agree_on_another"
    AGREEMENT_UNKNOWN = "unknown_whether_solvers_agree"
    # auditor
    AUDIT_DISAGREES = "auditor_disagrees"
    AUDIT_UNSURE = "auditor_unsure"
    AUDIT_UNKNOWN = "unknown_from_auditor"
    # rollouts
    UNMEASURED = "unmeasured"
    TOO_HARD = "pass_rate_too_low"
    TOO_EASY = "pass_rate_too_high"
    RATE_UNSURE = "pass_rate_unsure"
    # human
    KEY_CORRECTED = "key_corrected"
    KEY_WRONG = "people_find_key_wrong"
    NO_OPTION_RIGHT = "no_option_right"
    LOW_QUALITY = "quality_too_low"
    ANOTHER_LOOK = "needs_another_look"
    WITHDRAWN = "review_withdrawn"
    # corpus
    NEAR_DUPLICATE = "near_duplicate"
    CONTAMINATED = "contaminated"
    # overlong, which a training and no build decides
    PROMPT_TOO_LONG = "prompt_too_long"
    PICTURES_SMALLER = "pictures_made_smaller"


#: Reasons of verdicts that say nothing: another filter has dropped the row, and this one had nothing to judge by.
NOT_JUDGED = frozenset({Reason.NOT_ASKED, Reason.NOT_NEEDED})

#: Reasons of rows that are kept because the evidence that would speak against them is incomplete.
UNDECIDED = frozenset(
    {
        Reason.BLIND_UNKNOWN,
        Reason.SWAP_UNKNOWN,
        Reason.CONSISTENCY_UNKNOWN,
        Reason.AGREEMENT_UNKNOWN,
        Reason.AUDIT_UNSURE,
        Reason.AUDIT_UNKNOWN,
        Reason.ANOTHER_LOOK,
        Reason.WITHDRAWN,
    }
)
