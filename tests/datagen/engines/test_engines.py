"""Seeded draws, the transformers engine on the micro model, and what goes over the wire to an endpoint."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from capcurriculum import prompts
from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request, Response, Sampling
from datagen import engines
from datagen.engines.transformers_engine import TransformersEngine
from tests.support import endpoint

torch = pytest.importorskip("torch")
QUESTION = prompts.choice(
    "What color is the object in the center?", dict(zip("ABCD", ("red", "blue", "green", "white"), strict=True))
)


def draw(keys: list[str], sampling: Sampling, scores: "torch.Tensor") -> list[int]:
    from datagen.engines.gumbel import SeededSampling

    rows = scores.expand(len(keys), -1)
    return SeededSampling(keys, sampling)(rows, rows).argmax(dim=1).tolist()


def test_seeded_draws_follow_the_softmax_and_do_not_depend_on_neighbours() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    keys = [f"{n:016x}" for n in range(4000)]
    drawn = draw(keys, Sampling(temperature=1.0), scores)
    shares = torch.bincount(torch.tensor(drawn), minlength=4) / len(keys)
    assert torch.allclose(shares, scores[0].softmax(0), atol=0.03)
    assert draw(keys[7:9], Sampling(temperature=1.0), scores) == drawn[7:9]
    assert draw(keys, Sampling(), scores) == [2] * len(keys)


def test_top_k_and_top_p_leave_out_what_they_should() -> None:
    from datagen.engines.gumbel import truncate

    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    assert torch.isinf(truncate(scores, Sampling(top_k=2))).tolist() == [[False, False, True, True]]
    # 0.5 does not reach 0.6, so the next is taken too.
    assert torch.isinf(truncate(scores, Sampling(top_p=0.6))).tolist() == [[False, False, True, True]]
    assert torch.isinf(truncate(scores, Sampling(top_p=0.5))).tolist() == [[False, True, True, True]]
    assert not torch.isinf(truncate(scores, Sampling())).any()


@pytest.fixture(scope="module")
def micro() -> Iterator[TransformersEngine]:
    with TransformersEngine(ModelSection(engine="transformers", model="micro:start", batch_size=8)) as engine:
        yield engine


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for number, colour in enumerate(("red", "blue", "green", "white", "purple")):
        image = Image.new("RGB", (96, 96), "gray")
        image.paste(colour, (40, 40, 60, 60))
        image.save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    return paths


def seen(path: str, temperature: float, rollout: int = 0) -> Request:
    turns = (Message("system", prompts.system()), Message("user", QUESTION, images=1))
    sampling = Sampling(temperature=temperature, max_tokens=64)
    return Request.make("micro:start", turns, sampling, images=((path[-5:], path),), rollout=rollout)


def told(caption: str) -> Request:
    turns = (Message("system", prompts.system()), Message("user", prompts.caption_arm(caption, QUESTION)))
    return Request.make("micro:start", turns, Sampling(max_tokens=64))


def by_key(responses: Iterator[Response]) -> dict[str, Response]:
    return {response.key: response for response in responses}


@pytest.mark.slow
def test_a_reply_is_the_same_alone_and_in_any_company(micro: TransformersEngine, pictures: list[str]) -> None:
    requests = [seen(p, t, k) for p in pictures for t, k in ((0.0, 0), (1.0, 0), (1.0, 1))]
    requests += [told(f"The image shows two objects. A small {c} circle is at the center.") for c in ("red", "blue")]
    together = by_key(micro.stream(requests))
    assert by_key(micro.stream(reversed(requests))) == together
    assert len(together) == len(requests) == 17
    for request in requests[::4]:
        assert by_key(micro.stream([request])) == {request.key: together[request.key]}


def test_replies_count_their_tokens_and_say_how_they_ended(micro: TransformersEngine, pictures: list[str]) -> None:
    (whole,) = micro.stream([seen(pictures[0], 0.0)])
    assert whole.finish == "stop"
    assert whole.tokens_in > 40
    assert r"\boxed{" in whole.text
    assert "<|im_end|>" not in whole.text
    cut = Request.make("m", (Message("user", QUESTION),), Sampling(max_tokens=2))
    (short,) = micro.stream([cut])
    assert (short.finish, short.tokens_out) == ("length", 2)


def test_a_picture_no_processor_takes_costs_its_own_row_alone(
    micro: TransformersEngine, pictures: list[str], tmp_path: Path
) -> None:
    Image.new("RGB", (9000, 40), "red").save(tmp_path / "strip.png")
    (tmp_path / "torn.png").write_bytes(Path(pictures[0]).read_bytes()[:90])
    good = [seen(path, 0.0) for path in pictures]
    bad = [seen(str(tmp_path / name), 0.0) for name in ("strip.png", "torn.png", "absent.png")]
    found = by_key(micro.stream([*good[:2], *bad, *good[2:]]))
    assert {request.key: found[request.key] for request in good} == by_key(micro.stream(good))
    errors = [found[request.key] for request in bad]
    assert {one.finish for one in errors} == {"error"}
    for one, said in zip(errors, ("more than 200 times", "cannot be decoded", "cannot be read"), strict=True):
        assert said in one.error


@pytest.mark.parametrize("part", ["_inputs", "_render"])
def test_whatever_a_processor_raises_costs_its_own_row_alone(
    micro: TransformersEngine, pictures: list[str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    own = getattr(micro, part)

    def picky(asked: object, *others: object) -> object:
        if any(request.image_paths for request in (asked if isinstance(asked, Sequence) else [asked])):
            raise TypeError("can only concatenate str")
        return own(asked, *others)

    monkeypatch.setattr(micro, part, picky)
    text = told("The image shows a small red circle at the center.")
    found = by_key(micro.stream([seen(pictures[0], 0.0), text, seen(pictures[1], 0.0)]))
    assert found.pop(text.key).finish == "stop"
    assert {(one.finish, one.error) for one in found.values()} == {("error", "TypeError: can only concatenate str")}


def test_a_model_of_text_alone_is_not_asked_about_pictures_it_would_pass_over(
    micro: TransformersEngine, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micro, "processor", micro.processor.tokenizer)
    (reply,) = micro.stream([seen(pictures[0], 0.0)])
    assert (reply.finish, reply.error) == ("error", "the model reads text alone and is shown an image")


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for name in ("micro:absent", str(tmp_path)):
        with pytest.raises(EngineError) as caught:
            engines.create(ModelSection(engine="transformers", model=name))
        assert "\n" not in str(caught.value)


def test_an_endpoint_is_sent_images_as_data_urls_the_schema_and_no_seed(pictures: list[str]) -> None:
    with endpoint.serving() as server:
        section = ModelSection(engine="openai", model="m", base_urls=(server.url,))
        request = Request.make(
            "m", (Message("user", QUESTION, images=1),), Sampling(0.5, 0.9, 20, 77),
            images=(("id", pictures[0]),), schema='{"type": "object"}',
        )  # fmt: skip
        with engines.create(section) as engine:
            (response,) = engine.stream([request])
    assert (response.key, response.finish) == (request.key, "stop")
    (body,) = server.requests
    image, text = body["messages"][0]["content"]
    assert (
        base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,"))
        == Path(pictures[0]).read_bytes()
    )
    assert text == {"type": "text", "text": QUESTION}
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (0.5, 0.9, 20, 77)
    assert "seed" not in body


def test_no_more_requests_fly_than_the_recipe_allows() -> None:
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.05)) as server:
        section = ModelSection(engine="openai", model="m", base_urls=(server.url,), concurrency=3)
        requests = [Request.make("m", (Message("user", f"What is {n} + 1?"),), Sampling()) for n in range(12)]
        taken = []

        def handing_out() -> Iterator[Request]:
            for request in requests:
                taken.append(request.key)
                yield request

        with engines.create(section) as engine:
            replies = engine.stream(handing_out())
            next(replies)
            assert len(taken) <= 3
            assert len(list(replies)) == 11


def test_a_wrong_key_stops_at_once_and_never_shows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with endpoint.serving(endpoint.Endpoint(faults=[endpoint.status(401)])) as server:
        section = ModelSection(engine="openai", model="m", base_urls=(server.url,))
        with engines.create(section) as engine, pytest.raises(EngineError) as caught:
            list(engine.stream([Request.make("m", (Message("user", "hi"),), Sampling())]))
    assert "sk-secret" not in str(caught.value)
    assert len(server.requests) == 1
