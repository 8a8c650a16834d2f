"""Filters that read the words of text problems: one that has lost its picture, and one that asks for a proof alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import recipe
from capcurriculum.rows import Question
from filters.rules import needs_image
from filters.rules.asks_for_proof import AsksForProofSection
from filters.rules.needs_image import NeedsPictureSection
from filters.words import quoted
from tests.support import worlds

LACKING = [
    ("In the figure below, find the angle at B.", "figure below"),
    ("In the diagram, PQ is parallel to RS. What is x?", "In the diagram"),
    ("As shown in the figure, two circles touch. Find r.", "As shown"),
    ("A ladder leans on a wall as shown. How high does it reach?", "as shown"),
    ("Five squares are joined, as shown below. Find the perimeter.", "as shown"),
    ("The graph shown has slope m. Find m.", "The graph shown"),
    ("Below is the graph of a line. What is its slope?", "Below is the graph"),
    ("The graph below meets the axis at c. Find c.", "The graph below"),
    ("Use the diagram at the right to find the height.", "diagram at the right"),
    ("Which letter is under F in the accompanying figure?", "accompanying figure"),
    ("Refer to the figure and find the area of the pond.", None),
    ("Three roads meet (see figure). How many routes are there?", "(see figure"),
    ("Three roads meet. (See the picture.) How many routes are there?", "(See the picture"),
    ("Figure 3 has seven triangles. How many has the next one?", "Figure 3"),
    ("How long is the side marked a in Fig. 2?", "Fig. 2"),
    ("The diagram shows a regular octagon. Find the angle y.", "The diagram shows"),
    ("The figure shows a cube cut by a plane. Find its area.", "The figure shows"),
    ("The map below shows four towns. How far is it from A to D?", "map below"),
    ("The chart shows sales by month. In which month were they highest?", "chart shows"),
    ("The cylinder shown has radius 3. Find its height.", "The cylinder shown"),
    ("The regular hexagon shown here has side 16. Find its area.", "shown here"),
    ("The wheel shown below has five spokes. How many paths are there?", "shown below"),
    ("The trapezoid below has bases 7 and 17. Find its area.", "The trapezoid below"),
    ("In triangle RST, shown, the sine of R is 2/5. Find that of T.", ", shown,"),
    ("The results of a run are graphed below. Who was fastest?", "graphed below"),
    ("The tiles are of the two types shown in the picture. How many fit?", "in the picture"),
    ("Six coins lie as in the figure. Find the perimeter.", None),
    ("A number goes into each circle of the diagram. What is at E?", "of the diagram"),
    ("What is the area of the shaded triangle? [asy] draw((0,0)--(1,1)); [/asy]", "[asy]"),
    ("Find AC. <asy> size(100); </asy>", "<asy>"),
    (r"Find AC. \begin{tikzpicture} \draw (0,0) -- (1,1); \end{tikzpicture}", "begin{tikzpicture}"),
    (r"The two tiles: \begin{picture}(140,40) \end{picture}. How many fit?", "begin{picture}"),
    ("Find AC. ![Image](https://example.org/a)", "![Image]("),
    ("Find AC. ![](12)", "![]("),
    ("< image>\nFind AC.", "< image>"),
    ("Find AC. <img src='a'>", "<img"),
    (r"Find AC. \includegraphics[width=3cm]{tri}", "includegraphics"),
    ("Find the area. [1998 Contest num. 27.png](https://example.org/x)", "7.png"),
    ("如图，在三角形ABC中，求角A。", "如图"),
    ("下图是某班的成绩，求平均分。", "下图"),
    ("电路如图2所示，求电流。", "如图"),
    ("求图中阴影部分的面积。", "图中阴影"),
    ("The figures are shown in a row. How many dots has the tenth?", "figures are shown"),
    ("Find the area of the region drawn in the sketch.", "drawn in the sketch"),
    ("The following diagram is a floor plan. Find its area.", "following diagram"),
    ("How many steps has the staircase pictured above?", "pictured above"),
]
COMPLETE = [
    "Jessica tries to figure out how much she owes. How much is it?",
    "What is the smallest six-figure number?",
    "Draw a diagram of the graph with four vertices. How many edges are in the diagram?",
    "Find where the graph of y = x^2 meets the line y = 4.",
    "The graphs of f and g intersect at two points. Find them.",
    "Find the area of the region bounded by the graph of |x| + |y| = 1.",
    "The figure is a square with side 3. Find its perimeter.",
    "The figure ABCDE is a convex pentagon. Find the sum of its angles.",
    "Find the largest circle that fits in the remaining figure after the corner is cut off.",
    "A figure is made of ten unit squares. How long is the outline of the figure?",
    "A plane figure is symmetric about both axes. How many corners can it have in the figure's first quadrant?",
    "A picture frame is 2 cm wide. How long is its outer edge?",
    "Sketch the graph of y = 2x. What is its slope?",
    "How many pictures did Anna draw in the morning if she drew 9 in all and 4 later?",
    "Miguel takes a photo of 3 cats and 4 dogs. How many animals are in the photo?",
    "Her drawing has 5 stars. She adds 3. How many stars are in the drawing?",
    "A figure skater turns 2250 degrees. Which way does she face?",
    "She skates a figure 8 of two circles of radius 5. How long is it?",
    "A child has 3 action figures at $4 each. What do they cost?",
    "Round 3.14159 to four significant figures.",
    "It can be shown that n^2 + n is even. What is the least n for which it is 12?",
    "Find the image of the line y = 2x + 1 under the map f.",
    "Let R be the map that turns the plane by 90 degrees. Where does it send (1, 0)?",
    "In the set shown to be finite above, how many elements are there?",
    "Which number below is prime: 4, 6, 7 or 8?",
    "Solve the system of equations below. x + y = 3, x - y = 1",
    r"The grid below is magic. \[\begin{array}{cc} 1 & 2 \\ 2 & 1 \end{array}\] What is its sum?",
    "The table below gives the prices.\n| a | b |\n| --- | --- |\n| 1 | 2 |\nWhat does b cost?",
    "The chart shows prices.\n| a | b |\n|---|---|\n| 1 | 2 |\nWhat does b cost?",
    "People sit around a round table. In how many ways?",
    "In a grid some squares are shaded. Find how many shaded squares touch an unshaded one at most.",
    "A square is inscribed in a circle of radius 2 and the rest is shaded. What is the area of the shaded region?",
    "A circle is drawn in a unit square, and a diagonal of the square is drawn. How long is the part outside?",
    "The ball is 3 m above the circle of radius 2. How far is it from the rim?",
    "Each block is lighter than the block below it. The lowest weighs 64 g. What does the sixth weigh?",
    "On a map, 3 inches are 10 miles. How many inches are 53 miles?",
    "The results are shown to be wrong. By how much, if 12 was written for 21?",
    "Let [t] denote the area of the geometrical figure t. If [ABC] = 4, what is 2[ABC]?",
    "Which of the following figures has the most sides: triangle, square, pentagon?",
    "He puts 12 stamps in the picture album. How many are left of 20?",
    "Illustrate the rule with an example: what is 3 choose 2?",
    "The function is plotted by a pen that moves 2 cm a second. How long does 10 cm take?",
    "求函数y=x^2的图像与直线y=4的交点。",
    "学校如图书馆和食堂共有5栋楼，图书馆有3层，问食堂有几层？",
    "A graph has 5 vertices and every two are joined. How many edges does the graph have?",
]  # fmt: skip


def problem(text: str, image: str = "", stage: str = "text") -> Question:
    return Question("q", stage, text, "4", (), "s", "", image, "", "", "src", "l")


def test_there_are_enough_sentences_of_each_kind() -> None:
    for sentences in (LACKING, COMPLETE, PROOFS, VALUES):
        assert len(sentences) >= 40


@pytest.mark.parametrize(("text", "words"), LACKING)
def test_a_problem_that_shows_or_names_a_picture_lacks_it_and_the_verdict_quotes_the_words(
    text: str, words: str | None
) -> None:
    verdict = NeedsPictureSection().judge(problem(text))
    assert (verdict.keep, verdict.reason) == (False, "needs_picture")
    assert (words or "figure") in verdict.detail
    assert NeedsPictureSection().judge(problem(text, "images/a.png")).keep  # it has one


@pytest.mark.parametrize("text", COMPLETE)
def test_a_problem_that_only_uses_such_words_is_kept(text: str) -> None:
    verdict = NeedsPictureSection().judge(problem(text))
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "kept", "")


def test_drawing_code_may_do_for_the_picture_it_draws_and_for_no_other() -> None:
    enough = NeedsPictureSection(code="enough")
    drawn = "As shown, AB is 3. [asy] draw((0,0)--(1,1)); [/asy] Find BC."
    assert enough.judge(problem(drawn)).keep
    assert not NeedsPictureSection().judge(problem(drawn)).keep
    assert not enough.judge(problem(drawn + " ![](b)")).keep
    assert not enough.judge(problem("As shown, AB is 3. Find BC.")).keep


PROOFS = [
    ("Prove that there are infinitely many primes.", "Prove that there are"),
    ("Prove: n^3 - n is divisible by 6.", "Prove: n^3"),
    ("Prove or disprove that every such graph is planar.", "Prove or disprove"),
    ("Disprove the claim that all odd numbers are prime.", "Disprove the claim"),
    ("Let n be odd. Show that n^2 - 1 is divisible by 8.", "Show that n^2"),
    ("Let $n$ be odd. Show that $8 \\mid n^2 - 1$.", "Show that"),
    ("Show that: $EF = FR$.", "Show that"),
    ("Show $a \\le b$ for all such $a$ and $b$.", "Show $a"),
    ("Show the following inequality: a + b > 1.", "Show the following"),
    ("If m is an integer, then show that it is a square.", "then show that it"),
    ("For every integer $n$ show that the number of ways is $2^{n-1}$", "show that the number"),
    ("For all n show that f(n) > n.", "show that f(n)"),
    ("Let f be convex (on R), show that f is continuous.", "show that f is"),
    ("a) Show that A^3 = A + I has a solution. b) Show that det A > 0.", "a) Show that"),
    ("(i) Prove the first claim. (ii) Prove the second.", "Prove the first"),
    ("(1) Demonstrate that the sequence is bounded.", "Demonstrate that"),
    ("Verify that x = 2 solves the equation.", "Verify that"),
    ("Establish that no such set exists.", "Establish that"),
    ("Deduce that $p = q$.", "Deduce that"),
    ("Justify why the method works.", "Justify why"),
    ("Explain why the sum is even.", "Explain why"),
    ("Explain why the sum is even and prove it.", "Explain why"),
    ("Give a proof of the triangle inequality.", "Give a proof"),
    ("Provide a short proof that e is irrational.", "Provide a short proof"),
    ("Write a complete proof of the lemma.", "Write a complete proof"),
    ("Please prove that the map is onto.", "prove that the map"),
    ("Hence prove that AB = CD.", "Hence prove that"),
    ("Let ABC be a triangle and prove that AB + BC > AC.", "prove that AB"),
    ("Use induction to show that the sum is n(n+1)/2.", "to show that the sum"),
    ("Using the lemma above to prove that f is one-to-one, write out each step.", "to prove that f"),
    ("PROVE THAT THE SUM IS EVEN.", "PROVE THAT"),
    ("Suppose p > 3 is prime; show that p^2 - 1 is a multiple of 24.", "show that p^2"),
    ("Show that one can find n such that 2^n > 1000 n.", "Show that one can find"),
    ("Show that it is possible to determine the weights in three weighings.", "Show that it is"),
    ("It was known that f > 0. Show that what is left is finite.", "Show that what"),
    ("Show algebraically that the lines meet.", "Show algebraically"),
    ("证明：存在无穷多个素数。", "证明"),
    ("设n为奇数，求证n^2-1能被8整除。", "求证"),
    ("Démontrer que la suite converge.", "Démontrer que"),
    ("De\u0301montrer que la suite converge.", "Démontrer que"),
    ("Soit n un entier. Montrer que n(n+1) est pair.", "Montrer que"),
    ("Beweisen Sie, dass die Folge konvergiert.", "Beweisen Sie, dass"),
    ("Zeige, dass n gerade ist.", "Zeige, dass"),
    ("Demuestre que la suma es par.", "Demuestre que"),
    ("Dimostrare che la somma è pari.", "Dimostrare che"),
]
VALUES = [
    "What is the proof of this liquor, which is 40 % alcohol by volume?",
    "A waterproof coat costs $80 and is sold at 20 % off. What does it cost?",
    "Mix 3 litres of 80-proof rum with 1 litre of water. Find the proof of the mix.",
    "It can be proved that the limit exists. Find n such that it is 2n.",
    "The statement can be proved by induction. Find the least n for which it holds.",
    "Show that the sequence converges and find its limit.",
    "Show that f is linear and find f(2).",
    "Show that A + B does not depend on the start and determine its value.",
    "(i) Show that f(n + 4a) = f(n). (ii) Determine the smallest possible a.",
    "a) Prove that x exists. b) Find all x.",
    "**a)** Show that a < b. **b)** Compute the largest b.",
    "Find, with proof, all n for which 2^n + 1 is a square.",
    "Determine with proof how many of the sequences contain a square.",
    "Find the maximum value, or show that no maximum exists.",
    "Find f(1985). Justify your answer.",
    "Is it possible to cover the board? Justify your answer.",
    "Does such a set exist? Prove your claim.",
    "Decide whether the series converges, and prove it.",
    "Show that the inequality holds. When does equality hold?",
    "Evaluate the integral. Use your answer to show that it is less than 1.",
    "Let's show that we are fast: what is 17 times 23?",
    "A quiz show that runs 30 minutes has 4 breaks of 2 minutes. How long are the questions?",
    "Tickets to a show cost $20. What do five cost?",
    "The data show that 40 % of 50 people agree. How many is that?",
    "Serge wants to show Masha a trick. For what n can he? Give the least.",
    "We can show that 3 divides n. Give the least such n above 10.",
    "He tried to prove that 91 is prime. Write down its smallest factor above 1.",
    "The dice show 20 and 19. What is the chance that the third shows 20?",
    "One receipt showed that 72 trophies cost $367.92. What did one cost?",
    "Up to 50 students show up. How many groups of 7 is that at most?",
    "The method proved useful 12 times out of 16. State the share in percent.",
    "This proves that n is even. Find n if n^2 = 144.",
    "Compute the number of rows that the proof needs if each case takes two and there are five.",
    "An improved recipe needs 3 eggs a cake. How many for 7?",
    "Simplify (a + b)^2 - (a - b)^2.",
    "How many steps does the verification that 7 is prime take by trial division?",
    "Solve x^2 = 4, and verify that both roots fit.",
    "List all divisors of 12 and show that their sum is 28.",
    "Express the sum in closed form and prove your formula.",
    "A demonstration that drew 300 people grew by half. How large was it then?",
    "Explain your answer: which is larger, 2^10 or 10^3?",
    "可以证明n是偶数，求n的最小值。",
    "证明数列收敛，并求其极限。",
    "已知命题已被证明，计算n的值。",
    "Montrer que la suite converge et calculer sa limite.",
    "Zeigen Sie, dass f stetig ist, und berechnen Sie f(2).",
    "He claims: the proof that he gave has 3 gaps, each worth 2 points of 10. Count his points.",
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), PROOFS)
def test_a_problem_that_asks_for_a_proof_alone_is_dropped_and_the_verdict_quotes_what_is_to_be_proved(
    text: str, words: str
) -> None:
    verdict = AsksForProofSection().judge(problem(text))
    assert (verdict.keep, verdict.reason) == (False, "asks_for_proof")
    assert words in verdict.detail.replace("\\\\", "\\")


@pytest.mark.parametrize("text", VALUES)
def test_a_problem_that_asks_for_something_to_compare_is_kept(text: str) -> None:
    verdict = AsksForProofSection().judge(problem(text))
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "kept", "")


@given(st.text(max_size=200))
def test_any_text_gets_a_verdict_and_a_short_detail(text: str) -> None:
    for verdict in (
        NeedsPictureSection().judge(problem(text)),
        NeedsPictureSection().judge(problem("as shown. " + text)),
        AsksForProofSection().judge(problem("Prove that " + text)),
    ):
        assert verdict.keep == (not verdict.detail) == (verdict.reason == "kept")
    assert len(quoted("x" * 10_000)) < 100
    assert len(needs_image.missing(f"![{'x' * 150}](y)", NeedsPictureSection())) < 100


def test_they_judge_text_stages_and_capabilities_like_them_and_are_not_in_the_usual_list(tmp_path: Path) -> None:
    assert not {"needs_picture", "asks_for_proof"} & {f.name for f in worlds.recipe_over(tmp_path, "http://x").filters}
    data = worlds.recipe_over(tmp_path, "http://x", filters=["needs_picture", "asks_for_proof", "rollouts"])
    wanted = data.model_dump(mode="json") | {
        "capabilities": {"sums": {"kind": "text", "source": {"kind": "problems", "path": str(tmp_path)}}},
        "filters": ["needs_picture", {"name": "asks_for_proof", "stages": ["text"]}, "rollouts"],
    }
    stages = {section.name: section.stages for section in recipe.parse(wanted, "test").filters}
    assert (stages["needs_picture"], stages["asks_for_proof"]) == (("text", "sums"), ("text",))
