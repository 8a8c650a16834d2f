"""What counts as asking: teachers write orders and gaps, and questions in scripts with marks of their own."""

import pytest

from datagen.teacher import mcq
from datagen.teacher.mcq import asks


@pytest.mark.parametrize(
    "text",
    [
        "What is left of the car?",
        'Which word is on the sign, "STOP" or "GO?"',
        "What is left of the car",
        "What colour is it? Choose one option.",
        "Choose the colour of the left car.",
        "Please select the right option.",
        "Look at the image, then name the animal on the bench.",
        "Based on the image: identify the object on the table.",
        "Complete the sentence: the car is",
        "The car is ____ .",
        "The colour of the left car is:",
        "The car on the left is ( ) .",
        "左边的车是什么颜色？",
        "左边的车是什么颜色",
        "图中汽车的颜色是（　）。",
        "请选出正确的选项。",
        "左の車は何色ですか。",
        "ما لون السيارة؟",
        "¿De qué color es el coche?",
    ],
)
def test_questions_orders_and_gaps_ask(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The left car is red.",
        "A red car",
        "What a nice car.",
        "It was chosen.",
        "左边的车是红色的。",
        "Choosing hurts.",
    ],
)
def test_statements_do_not(text: str) -> None:
    assert not asks(text)


def test_a_teachers_order_is_not_refused() -> None:
    options = '"options": {"A": "red", "B": "blue", "C": "teal", "D": "grey"}, "answer": "C"}'
    text = "Choose the colour of the left car."
    assert mcq.parse(f'{{"question": "{text}", {options}', "stop").question == text
