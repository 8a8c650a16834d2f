"""The openai engine against loopback endpoints that misbehave: what goes over the wire, and that nothing is lost."""

import base64
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from capcurriculum.errors import EngineError, RecipeError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request, Response, Sampling
from capcurriculum.torchvision_shim import ensure_torchvision
from datagen import engines
from datagen.engines import data_urls
from datagen.engines.same_prompt import grouped
from datagen.engines.smart_resize import PixelLimits, new_size, smart_size
from datagen.image_decoding import ImageProblem
from tests.support import endpoint, worlds
from tests.support.endpoint import Endpoint

pytestmark = pytest.mark.usefixtures("hurried")

WARM = Sampling(temperature=0.7)


def section(*urls: str, **changes: Any) -> ModelSection:
    return ModelSection(engine="openai", model="m", base_urls=urls, **changes)


def sums(count: int) -> list[Request]:
    return [Request.make("m", (Message("user", f"What is {n} + 1?"),), Sampling()) for n in range(count)]


def rollouts(question: int, k: int) -> list[Request]:
    turns = (Message("user", f"What is {question} + 1?"),)
    return [Request.make("m", turns, WARM, rollout=i) for i in range(k)]


def ask(made: ModelSection, requests: list[Request]) -> dict[str, Response]:
    """All responses by key; every request exactly once."""
    with engines.create(made) as engine:
        replies = list(engine.stream(requests))
    assert Counter(r.key for r in replies) == Counter(r.key for r in requests)
    return {r.key: r for r in replies}


def finishes(replies: dict[str, Response]) -> Counter[str]:
    return Counter(r.finish for r in replies.values())


def test_consecutive_rollouts_of_a_prompt_are_one_request_with_n() -> None:
    requests = [*rollouts(1, 4), *rollouts(2, 5), *sums(2)]
    with endpoint.serving() as server:
        replies = ask(section(server.url, max_n=4), requests)
    assert sorted(body.get("n", 1) for body in server.requests) == [1, 1, 1, 4, 4]
    assert finishes(replies) == {"stop": 11}
    assert not any("seed" in body for body in server.requests)
    four = [replies[r.key] for r in requests[:4]]
    assert [(r.tokens_in, r.tokens_out) for r in four] == [(10, 5), (0, 5), (0, 5), (0, 5)]


@pytest.mark.parametrize("most_n", [1, 3])
def test_an_endpoint_that_gives_fewer_choices_is_asked_for_the_missing_ones_alone(most_n: int) -> None:
    requests = rollouts(1, 5) + rollouts(2, 5)
    with endpoint.serving(Endpoint(most_n=most_n)) as server:
        replies = ask(section(server.url, concurrency=1), requests)
    assert finishes(replies) == {"stop": 10}
    asked = [body.get("n", 1) for body in server.requests]
    assert asked == ([5, *[1] * 4, *[1] * 5] if most_n == 1 else [5, 1, 1, 5, 1, 1])


def test_an_endpoint_that_rejects_n_is_asked_for_each_alone_and_not_tempted_again() -> None:
    requests = rollouts(1, 3) + rollouts(2, 3)
    with endpoint.serving(Endpoint(faults=[endpoint.status(400)])) as server:
        replies = ask(section(server.url, concurrency=1), requests)
    assert finishes(replies) == {"stop": 6}
    assert [body.get("n", 1) for body in server.requests] == [3, *[1] * 6]


def test_a_prompt_that_is_rejected_with_and_without_n_is_an_error_for_each_rollout() -> None:
    with endpoint.serving(Endpoint(faults=[endpoint.status(400), endpoint.status(422)])) as server:
        replies = ask(section(server.url, concurrency=1), rollouts(1, 3) + rollouts(2, 3))
    assert finishes(replies) == {"error": 3, "stop": 3}
    assert [body.get("n", 1) for body in server.requests] == [3, 1, 3]
    assert all("injected 4" in r.error for r in replies.values() if r.finish == "error")


FAULTS = {
    "500": endpoint.status(500),
    "no JSON": endpoint.sending(b"<html>502 Bad Gateway</html>"),
    "no choices": endpoint.sending(b'{"choices": []}'),
    "no message": endpoint.sending(b'{"choices": [{"index": 0, "finish_reason": "stop"}]}'),
    "a list": endpoint.sending(b"[" * 100_000),
    "cut off": endpoint.sending(b'{"choices": [{"mess', promised=1000),
    "hang up": endpoint.hang_up,
    "hang": endpoint.sleeping(1.2),
}


def patience(name: str) -> float:
    """Short where the test must wait it out, long where a busy machine might reach it."""
    return 0.5 if name == "hang" else 30


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_passes_costs_nothing(name: str) -> None:
    with endpoint.serving(Endpoint(faults=[FAULTS[name]] * 3)) as server:
        replies = ask(section(server.url, timeout_seconds=patience(name)), sums(8))
    assert finishes(replies) == {"stop": 8}
    assert len(server.requests) >= 11


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_stays_with_one_request_becomes_its_error_with_a_reason(name: str) -> None:
    poison = sums(1)[0]
    server = Endpoint(always=endpoint.but_not_when_greeted(FAULTS[name]), faults=[endpoint.well] * 3)
    with endpoint.serving(server):
        replies = ask(
            section(server.url, timeout_seconds=patience(name), concurrency=1, tries=3), [*sums(4)[1:], poison]
        )
    assert finishes(replies) == {"stop": 3, "error": 1}
    assert len(replies[poison.key].error) > 10
    assert "\n" not in replies[poison.key].error
    greetings = sum(body["max_tokens"] == 1 for body in server.requests)
    assert greetings == 3  # nobody else was there to compare to
    assert len(server.requests) == 3 + greetings + 6


def test_requests_that_nobody_can_serve_are_told_from_a_server_that_is_down() -> None:
    """With no other reply to compare to, the smallest request decides; a dead server fails no row."""
    fault = endpoint.status(500)
    with endpoint.serving(Endpoint(always=endpoint.but_not_when_greeted(fault))) as server:
        assert finishes(ask(section(server.url, tries=2), sums(3))) == {"error": 3}
    with endpoint.serving(Endpoint(always=fault)) as server, pytest.raises(EngineError, match="does not serve m"):
        ask(section(server.url, tries=2, patience_seconds=0.3), sums(3))


def test_a_server_that_is_down_for_a_while_fails_no_row() -> None:
    with endpoint.serving(Endpoint(faults=[endpoint.hang_up] * 40)) as server:
        replies = ask(section(server.url, tries=2, concurrency=8), sums(30))
    assert finishes(replies) == {"stop": 30}
    assert len(server.requests) >= 70


@pytest.mark.parametrize("fault", [endpoint.hang_up, endpoint.status(429, "0"), endpoint.status(503)])
def test_a_server_that_stays_down_stops_the_stream_after_all_that_was_finished(fault: endpoint.Fault) -> None:
    with endpoint.serving(Endpoint(faults=[endpoint.well] * 5, always=fault)) as server:
        made = section(server.url, patience_seconds=0.5, concurrency=4)
        got: list[Response] = []
        with engines.create(made) as engine, pytest.raises(EngineError, match="run the same command again") as caught:
            got.extend(engine.stream(sums(20)))
    assert len({r.key for r in got}) == len(got) == 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_recipe_that_is_wrong_stops_at_once(code: int) -> None:
    with endpoint.serving(Endpoint(always=endpoint.status(code))) as server:
        made = section(server.url, concurrency=1)
        with engines.create(made) as engine, pytest.raises(EngineError, match=f"injected {code}"):
            list(engine.stream(sums(5)))
    assert len(server.requests) == 1


def test_words_of_an_endpoint_cannot_steer_a_terminal() -> None:
    said = endpoint.status(404, message="\x1b[2Jno model m\x07")
    with endpoint.serving(Endpoint(always=said)) as server, pytest.raises(EngineError) as caught:
        ask(section(server.url), sums(1))
    assert "\\x1b[2Jno model m\\x07" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_retry_after_is_waited_for_as_seconds_and_as_a_date() -> None:
    for date in (False, True):
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # whole seconds: 1 to 2 away
        header = soon if date else "1"
        with endpoint.serving(Endpoint(faults=[endpoint.status(429, header)])) as server:
            begun = time.monotonic()
            replies = ask(section(server.url), sums(1))
            assert time.monotonic() - begun >= 0.9
        assert finishes(replies) == {"stop": 1}


@pytest.mark.timeout(60)
def test_an_endpoint_that_asks_for_more_than_patience_stops_the_build() -> None:
    with (
        endpoint.serving(Endpoint(always=endpoint.status(429, "86400"))) as server,
        pytest.raises(EngineError) as caught,
    ):
        ask(section(server.url, patience_seconds=0.3), sums(3))
    assert "429" in str(caught.value)


def test_an_endpoint_that_dies_midway_costs_nothing_while_another_lives() -> None:
    with endpoint.serving(Endpoint(delay_seconds=0.01)) as one, endpoint.serving(Endpoint(delay_seconds=0.01)) as two:
        one.faults += [endpoint.well] * 10
        one.always = endpoint.hang_up
        replies = ask(section(one.url, two.url, concurrency=8, tries=2), sums(80))
    assert finishes(replies) == {"stop": 80}
    served_by_one = {json.dumps(body) for body in one.requests[:10]}
    assert len({json.dumps(body) for body in two.requests} - served_by_one) == 70
    assert len(one.requests) < 40


def test_the_load_is_shared_and_goes_where_replies_come_sooner() -> None:
    with endpoint.serving(Endpoint(delay_seconds=0.2)) as slow, endpoint.serving(Endpoint(delay_seconds=0.01)) as fast:
        ask(section(slow.url, fast.url, concurrency=4), sums(60))
    assert slow.most_flying + fast.most_flying >= 4
    assert 2 <= len(slow.requests) < 20
    assert len(slow.requests) + len(fast.requests) == 60


def test_refusals_lower_the_load_and_it_comes_back() -> None:
    with endpoint.serving(Endpoint(delay_seconds=0.005)) as server:
        server.faults += [endpoint.status(429)] * 32
        made = section(server.url, concurrency=8)
        with engines.create(made) as engine:
            pace = engine.conversation.pool.endpoints[0].pace  # type: ignore[attr-defined]
            lowest, got = 8, 0
            for _ in engine.stream(sums(60)):
                lowest, got = min(lowest, pace.limit), got + 1
    assert got == 60
    assert lowest <= 4
    assert server.most_flying <= 8


def test_none_means_ask_again_after_the_next_response() -> None:
    waited = []

    def source() -> Iterator[Request | None]:
        """Three questions, each asked only after the reply to the one before was seen."""
        for request in sums(3):
            yield request
            while request.key not in seen:
                waited.append(request.key)
                yield None

    seen: set[str] = set()
    with endpoint.serving() as server, engines.create(section(server.url)) as engine:
        for response in engine.stream(source()):
            seen.add(response.key)
    assert len(seen) == 3
    assert Counter(waited) == Counter(r.key for r in sums(3))  # asked once too early each time, and not in a loop


def test_none_with_nothing_outstanding_is_a_mistake_and_does_not_hang() -> None:
    with endpoint.serving() as server, engines.create(section(server.url)) as engine:
        with pytest.raises(RuntimeError, match="gave None"):
            list(engine.stream([None]))
        assert len(list(engine.stream(sums(2)))) == 2  # and the engine is as good as before


def test_a_stream_that_is_left_takes_its_requests_along() -> None:
    with endpoint.serving(Endpoint(delay_seconds=0.1)) as server, engines.create(section(server.url)) as engine:
        first = engine.stream(sums(40))
        next(first)
        first.close()
        assert {r.finish for r in engine.stream(sums(3))} == {"stop"}
        assert not engine._tasks  # type: ignore[attr-defined]


def test_requests_go_on_while_the_caller_is_busy() -> None:
    with endpoint.serving() as server, engines.create(section(server.url, concurrency=8)) as engine:
        replies = engine.stream(sums(30))
        next(replies)
        done = threading.Event()
        for _ in range(100):  # the caller computes; what was handed over is served meanwhile
            if len(server.requests) >= 10:
                done.set()
                break
            time.sleep(0.05)
        assert done.is_set()
        assert len(list(replies)) == 29


def test_no_key_is_in_any_word_that_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")

    def telling(code: int) -> endpoint.Fault:
        def fault(handler: Any) -> bool:
            data = json.dumps({"error": {"message": f"bad key {handler.headers['Authorization']}"}}).encode()
            handler.send_response(code)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
            return True

        return fault

    with endpoint.serving(Endpoint(always=telling(400))) as server:
        made = section(server.url, api_key_env="MY_KEY")
        (response,) = ask(made, sums(1)).values()
        assert "[key]" in response.error
        server.always = telling(401)
        with pytest.raises(EngineError) as caught:
            ask(made, sums(1))
    for text in (response.error, str(caught.value)):
        assert "very-secret" not in text


def test_a_recipe_with_a_password_in_a_url_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no user name or password") as caught:
        worlds.recipe_over(tmp_path, "http://user:open-sesame@127.0.0.1:1/v1")
    assert "sesame" not in str(caught.value)


def test_a_base_url_that_is_none_is_one_sentence() -> None:
    with pytest.raises(ValidationError, match="an address is http or https"):
        section("localhost:8000")


def test_structured_output_is_asked_for_unless_the_recipe_says_no() -> None:
    request = Request.make("m", (Message("user", "1"),), Sampling(), schema='{"type": "object"}')
    with endpoint.serving() as server:
        ask(section(server.url), [request])
        ask(section(server.url, structured=False), [request])
    wanted, plain = server.requests
    assert wanted["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": {"type": "object"}},
    }
    assert "response_format" not in plain


def test_text_no_file_can_hold_is_mended() -> None:
    body = json.dumps({"choices": [{"message": {"content": "a\ud800b"}, "finish_reason": "stop"}], "usage": "much"})
    with endpoint.serving(Endpoint(always=endpoint.sending(body.encode()))) as server:
        (response,) = ask(section(server.url), sums(1)).values()
    assert (response.text, response.tokens_in) == ("a?b", 0)


# Images


def seeing(path: Path, text: str = "What is 1 + 1?") -> Request:
    return Request.make("m", (Message("user", text, images=1),), Sampling(), images=((path.name, str(path)),))


def sent_images(server: Endpoint) -> list[bytes]:
    urls = [body["messages"][0]["content"][0]["image_url"]["url"] for body in server.requests]
    return [base64.b64decode(url.split(",", 1)[1]) for url in urls]


def picture(path: Path, size: tuple[int, int], **how: Any) -> Path:
    Image.radial_gradient("L").resize(size).convert(how.pop("mode", "RGB")).save(path, **how)
    return path


def test_images_over_the_limit_are_resized_by_the_backbones_rule_and_others_sent_as_they_are(tmp_path: Path) -> None:
    large = picture(tmp_path / "large.jpg", (900, 600))
    fine = picture(tmp_path / "fine.png", (100, 90))
    tiny = picture(tmp_path / "tiny.png", (30, 40), mode="P")
    with endpoint.serving() as server:
        made = section(server.url, concurrency=1, min_pixels=64 * 64, max_pixels=256 * 256)
        ask(made, [seeing(large), seeing(fine), seeing(tiny)])
    one, two, three = sent_images(server)
    with Image.open(io.BytesIO(one)) as image:
        assert (image.size, image.format) == ((288, 192), "JPEG")
    assert two == fine.read_bytes()
    with Image.open(io.BytesIO(three)) as image:
        assert (image.size, image.format) == ((64, 96), "PNG")


def test_an_image_is_read_once_for_requests_that_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = data_urls.data_url

    def counted(path: str, limits: PixelLimits | None) -> bytes:
        read.append(path)
        return real(path, limits)

    monkeypatch.setattr(data_urls, "data_url", counted)
    paths = [picture(tmp_path / f"{n}.png", (40 + n, 40)) for n in range(5)]
    with endpoint.serving() as server:
        ask(section(server.url), [seeing(path, f"What is {n} + 1?") for path in paths for n in range(6)])
    assert sorted(read) == sorted(map(str, paths))
    assert Counter(sent_images(server)) == {path.read_bytes(): 6 for path in paths}


async def _gets(urls: data_urls.DataURLs, paths: list[str]) -> None:
    for path in paths:
        await urls.get(path)


def test_what_is_remembered_of_images_is_bounded_in_bytes(tmp_path: Path) -> None:
    import asyncio

    paths = []
    for n in range(20):
        paths.append(str(picture(tmp_path / f"{n}.png", (64, 64))))
    one = len(data_urls.data_url(paths[0]))
    urls = data_urls.DataURLs(None, most_bytes=5 * one // 2)
    asyncio.run(_gets(urls, paths))
    assert urls.bytes == 2 * one
    urls.close()


def test_an_image_that_cannot_be_sent_is_that_requests_error(tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(picture(tmp_path / "whole.png", (900, 900)).read_bytes()[:400])
    line = picture(tmp_path / "line.png", (9000, 30))
    with endpoint.serving() as server:
        made = section(server.url, max_pixels=200_000)
        replies = ask(made, [seeing(torn), seeing(tmp_path / "absent.png"), seeing(line), *sums(2)])
    assert finishes(replies) == {"error": 3, "stop": 2}
    errors = " ".join(r.error for r in replies.values())
    assert "cannot be decoded" in errors
    assert "cannot be read" in errors
    assert "200 times" in errors
    assert len(server.requests) == 2


@pytest.mark.slow  # for the import of torch
def test_the_size_rule_is_the_one_of_the_image_processor() -> None:
    pytest.importorskip("torch")
    ensure_torchvision()
    processing = pytest.importorskip("transformers.models.qwen2_vl.image_processing_qwen2_vl")
    drawn = random.Random(2)
    resized = 0
    for _ in range(2000):
        width, height, multiple = drawn.randint(28, 3000), drawn.randint(28, 3000), drawn.choice((28, 32))
        limits = PixelLimits(least=300 * 300, most=1000 * 1000, multiple=multiple)
        theirs = processing.smart_resize(height, width, multiple, limits.least, limits.most)[::-1]
        assert smart_size(width, height, limits) == theirs
        ours = new_size(width, height, limits)
        assert ours in (None, theirs)
        resized += ours is not None
        # Sent at that size, the backbone's own pass leaves it alone.
        assert processing.smart_resize(*theirs[::-1], multiple, limits.least, limits.most)[::-1] == theirs
    assert 200 < resized < 1800


def test_a_line_has_no_size() -> None:
    with pytest.raises(ImageProblem, match="200 times"):
        smart_size(201, 1, PixelLimits(1, 10, 1))


# Grouping


def test_groups_are_lazy_bounded_and_let_none_through() -> None:
    taken = []

    def source() -> Iterator[Request | None]:
        for item in [*rollouts(1, 5), None, *rollouts(1, 2), *rollouts(2, 1), *sums(2), None]:
            taken.append(item)
            yield item

    groups = grouped(source(), 3)
    assert [len(next(groups) or ()), len(taken)] == [3, 3]  # full: nothing more is taken
    assert [len(next(groups) or ()), len(taken)] == [2, 6]
    assert [None if g is None else len(g) for g in groups] == [2, 1, 1, 1, None]


def test_a_none_behind_a_group_is_not_kept_until_the_group_was_answered() -> None:
    ready = rollouts(1, 2)

    def source() -> Iterator[Request | None]:
        for _ in range(4):
            yield ready.pop() if ready else None

    groups = grouped(source(), 3)
    assert len(next(groups) or ()) == 2
    ready += rollouts(2, 1)  # what the replies to the group opened
    assert len(next(groups) or ()) == 1


def test_prompt_keys_agree_with_what_is_grouped() -> None:
    first, second = rollouts(1, 2)
    other = [
        Request.make("n", first.messages, WARM),
        Request.make("m", (Message("user", "x"),), WARM),
        Request.make("m", first.messages, Sampling(temperature=0.8)),
        Request.make("m", first.messages, WARM, schema="{}"),
        Request.make("m", first.messages, WARM, images=(("i", "p"),)),
    ]
    assert first.key != second.key
    assert first.prompt_key == second.prompt_key
    assert list(grouped([first, second], 2)) == [(first, second)]
    assert all(first.prompt_key != r.prompt_key and len(list(grouped([first, r], 2))) == 2 for r in other)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": None, "reasoning_content": "It is 2."}, True),
        ({"content": "", "reasoning": "It is 2."}, True),
        ({"content": " \n", "reasoning_content": "It is 2."}, True),
        ({"content": "2", "reasoning_content": "It is 2."}, False),
        ({"content": None, "reasoning_content": None}, False),
        ({"content": ""}, False),
    ],
)
def test_a_model_that_spoke_only_in_its_reasoning_channel_is_told_so(message: dict[str, Any], said: bool) -> None:
    body = json.dumps({"choices": [{"message": message, "finish_reason": "length"}]}).encode()
    (request,) = sums(1)
    with endpoint.serving(Endpoint(faults=[endpoint.sending(body)])) as server:
        found = ask(section(server.url), [request])[request.key]
    assert (found.finish, found.text) == ("length", message["content"] or "")
    assert ("only in its reasoning channel" in found.unread) is said
    assert found.unread
