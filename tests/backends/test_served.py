"""A served model: answers read right, asked once, and every way in which a server fails."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from spatialtrust.backends.base import Asker, Options
from spatialtrust.backends.registry import open_asker
from spatialtrust.backends.served.record import Record
from spatialtrust.backends.served.replies import Odds, Told, odds, told
from spatialtrust.backends.served.target import parse_target
from spatialtrust.errors import BackendError, FileError, InputError
from spatialtrust.tables import Claims
from tests.conftest import ROOT
from tests.helpers.replay_server import Act, chat, question_of, replaying

SAID = [
    ("a.jpg", "mug", "left of", "kettle"),
    ("a.jpg", "mug", "above", "kettle"),
    ("a.jpg", "box", "contains", "mug"),
    ("b.jpg", "red cup", "on", "table"),
    ("b.jpg", "mug", "left of", "kettle"),
    ("a.jpg", "mug", "left of", "kettle"),
]


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return {
        name: generator.integers(0, 256, (20, 30, 3), dtype=np.uint8) for name in ("a.jpg", "b.jpg")
    }


@pytest.fixture
def claims():
    return Claims.from_rows(
        {"claim_id": str(row), "image_id": image, "subject": s, "relation": r, "object": o}
        for row, (image, s, r, o) in enumerate(SAID)
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Records go to a folder of the test's own, and pauses are short."""
    monkeypatch.setenv("SPATIALTRUST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("spatialtrust.backends.served.client._FIRST_PAUSE", 0.01)


def asker(server, settings=""):
    backend = open_asker(f"openai:test-vlm@{server.url}{settings}", Options())
    assert isinstance(backend, Asker)
    return backend


def by_claim(answers, name):
    return dict(zip(answers.strings("claim_id"), answers.column(name).to_pylist(), strict=True))


def sure(request, number=0):
    return Act(chat("Yes", {"Yes": 0.8, "No": 0.15, "The": 0.01}))


def test_log_probabilities_become_p_yes_and_each_question_is_asked_once(pictures, claims):
    with replaying(sure) as server:
        backend = asker(server)
        answers = backend.ask(pictures, claims)
        assert len(server.requests) == 5  # two claims say the same of one picture
        assert by_claim(answers, "p_yes")["0"] == pytest.approx(0.8 / 0.95, abs=1e-6)
        assert by_claim(answers, "margin")["0"] == pytest.approx(math.log(0.8 / 0.15), abs=1e-5)
        assert set(by_claim(answers, "answer").values()) == {"yes"}
        body = server.requests[0]
        assert body["logprobs"] is True
        assert body["temperature"] == 0.0
        assert body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/jpeg")
        again = asker(server).ask(pictures, claims)
        assert len(server.requests) == 5, "what was asked once is in the record"
        assert again.data.equals(answers.data)


def test_tokens_and_cost_are_counted(pictures, claims):
    with replaying(sure) as server:
        backend = asker(server, "#price_in=2&price_out=10")
        assert backend.usage is None
        backend.ask(pictures, claims)
        usage = backend.usage
        assert (usage["asked"], usage["prompt_tokens"], usage["completion_tokens"]) == (5, 500, 10)
        assert usage["cost"] == pytest.approx((500 * 2 + 10 * 10) / 1e6)
        later = asker(server)
        later.ask(pictures, claims)
        assert (later.usage["asked"], later.usage["from_record"]) == (0, 5)
        assert later.usage["in_record"]["prompt_tokens"] == 500
        assert later.usage["cost"] is None


def test_without_log_probabilities_questions_are_repeated(pictures, claims, caplog):
    def act(request, number):
        sampled = request["temperature"] > 0
        return Act(chat("No, it is not." if sampled and request["seed"] == 2 else "Yes."))

    with replaying(act) as server:
        answers = asker(server, "#repeats=5").ask(pictures, claims)
        assert len(server.requests) == 5 * 5
    assert by_claim(answers, "p_yes")["0"] == pytest.approx(4.5 / 6)
    assert by_claim(answers, "answer")["0"] == "yes"
    assert "no log-probabilities" in caplog.text
    assert caplog.text.count("asked 5 times") == 1


def test_asked_once_without_log_probabilities_an_answer_has_no_probability(pictures, claims):
    with replaying(lambda request, number: Act(chat("No."))) as server:
        answers = asker(server, "#repeats=1").ask(pictures, claims)
    assert set(by_claim(answers, "answer").values()) == {"no"}
    assert set(by_claim(answers, "p_yes").values()) == {None}


def test_replies_that_say_neither_are_unparsed(pictures, claims):
    with replaying(lambda request, number: Act(chat("I cannot tell from here."))) as server:
        answers = asker(server, "#repeats=1").ask(pictures, claims)
    assert set(by_claim(answers, "answer").values()) == {"unparsed"}
    assert set(by_claim(answers, "p_yes").values()) == {None}
    assert set(by_claim(answers, "status").values()) == {"ok"}


WRONG = {
    "above 0": {"Yes": 0.8, "No": 3.0},
    "more than 1 in all": {"Yes": 0.9, "No": 0.9},
}


@pytest.mark.parametrize("top", WRONG.values(), ids=WRONG)
def test_wrong_log_probabilities_are_not_believed(pictures, claims, top, caplog):
    with replaying(lambda request, number: Act(chat("Yes", top))) as server:
        answers = asker(server, "#repeats=1").ask(pictures, claims)
    assert set(by_claim(answers, "p_yes").values()) == {None}
    assert set(by_claim(answers, "answer").values()) == {"yes"}
    assert "log-probabilities that are none" in caplog.text


def test_log_probabilities_of_other_words_than_the_reply_are_not_believed():
    reply = told(json.dumps(chat("No", {"Yes": 0.9, "No": 0.1})).encode(), "application/json")
    assert odds(reply) == "the log-probabilities are of other words than the reply"


def test_an_answer_behind_thoughts_and_marks_is_found():
    tokens = ["<think>", "No", " way", "</think>", "\n", "**", "Yes", "**"]
    candidates = (("Yes", math.log(0.7)), ("No", math.log(0.2)))
    listed = tuple((token, candidates if token == "Yes" else ((token, -0.1),)) for token in tokens)
    found = odds(Told("".join(tokens), listed, {}, "stop"))
    assert isinstance(found, Odds)
    assert found.margin == pytest.approx(math.log(0.7 / 0.2))


def test_a_word_that_is_not_listed_is_at_most_as_likely_as_the_last_that_is():
    listed = (("Yes", (("Yes", math.log(0.9)), ("Sure", math.log(0.04)))),)
    found = odds(Told("Yes", listed, {}, "stop"))
    assert found.margin == pytest.approx(math.log(0.9 / 0.04))


def flaky(first):
    """Each question fails once, as ``first`` says, then is answered."""
    seen = set()

    def act(request, number):
        if question_of(request) in seen:
            return sure(request)
        seen.add(question_of(request))
        return first

    return act


FAILURES = {
    "429": Act({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.01"}),
    "429 with a date": Act(b"", 429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "500": Act(b"<html>oops</html>", 500),
    "503": Act(b"", 503),
    "hangs up": Act(drop=True),
    "half a body": Act(chat("Yes", {"Yes": 0.8}), cut=40),
    "half a stream": Act(b'data: {"choices":[{"delta":{"content":"Y"}}]}\n\n',
                         headers={"Content-Type": "text/event-stream"}),
    "stalls": Act(chat("Yes", {"Yes": 0.8}), stall=1.2),
    "nonsense": Act(b"welcome to nginx"),
    "no choices": Act({"choices": []}),
    "an error inside": Act({"error": {"message": "engine died"}}),
    "a list": Act([1, 2]),
    "null": Act(b"null"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_passes_is_tried_again(pictures, claims, failure):
    with replaying(flaky(failure)) as server:
        backend = asker(server, "#timeout=0.5")
        answers = backend.ask(pictures, claims)
        assert backend.usage["tries_repeated"] > 0
    assert set(by_claim(answers, "status").values()) == {"ok"}
    assert set(by_claim(answers, "answer").values()) == {"yes"}


def test_a_whole_stream_is_read():
    events = [
        {"choices": [{"delta": {"content": "Yes"}, "logprobs": chat("Yes", {"Yes": 0.8, "No": 0.1})
                      ["choices"][0]["logprobs"]}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7}},
    ]  # fmt: skip
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    reply = told(body.encode(), "text/event-stream")
    assert (reply.text, reply.finish, reply.usage) == ("Yes", "stop", {"prompt_tokens": 7})
    assert odds(reply).mass == pytest.approx(0.9)


def test_a_server_that_trickles_is_late(pictures, claims):
    with replaying(lambda request, number: Act(chat("Yes"), stall=5)) as server:
        started = time.monotonic()
        with pytest.raises(BackendError, match="no whole reply within"):
            asker(server, "#timeout=0.2&attempts=1").ask(pictures, claims)
        assert time.monotonic() - started < 4


def test_one_question_that_is_refused_costs_itself(pictures, claims):
    def act(request, number):
        refused = "contain" in question_of(request)
        return Act({"error": {"message": "content policy"}}, 400) if refused else sure(request)

    with replaying(act) as server:
        status = by_claim(asker(server, "#concurrency=1").ask(pictures, claims), "status")
    assert status.pop("2") == "failed: HTTP 400: content policy"
    assert set(status.values()) == {"ok"}


@pytest.mark.parametrize(
    ("code", "advice"),
    [(401, "export it"), (403, "may not"), (404, "GET URL/models"), (302, "give that address")],
)
def test_what_the_server_refuses_altogether_ends_the_run_with_what_to_do(
    pictures, claims, code, advice
):
    answer = Act({"error": {"message": "no"}}, code, {"Location": "http://elsewhere/"})
    with (
        replaying(lambda request, number: answer) as server,
        pytest.raises(BackendError, match=advice) as found,
    ):
        asker(server, "#concurrency=1").ask(pictures, claims)
    assert "0 replies are kept" in str(found.value)


def test_a_server_that_is_down_ends_the_run_and_what_was_paid_for_is_kept(pictures, claims):
    with replaying(sure) as server:
        asker(server).ask(pictures, claims.take(np.array([0, 1])))
    with pytest.raises(BackendError, match="2 replies are kept") as found:
        asker(server, "#attempts=2").ask(pictures, claims)
    assert "start the server" in str(found.value)


def test_a_wait_that_is_too_long_ends_the_run(pictures, claims):
    busy = Act(b"", 429, {"Retry-After": "86400"})
    with (
        replaying(lambda request, number: busy) as server,
        pytest.raises(BackendError, match="wait 86,400 s"),
    ):
        asker(server).ask(pictures, claims)


def test_parameters_that_a_server_does_not_know_are_left_out(pictures, claims, caplog):
    def act(request, number):
        if "max_tokens" in request:
            return Act({"error": {"message": "Unsupported parameter: 'max_tokens'"}}, 400)
        if "logprobs" in request:
            return Act({"error": {"message": "logprobs is not supported by this model"}}, 400)
        if request.get("temperature") == 0:
            return Act({"error": {"message": "temperature: only the default is supported"}}, 422)
        return Act(chat("yes"))

    with replaying(act) as server:
        answers = asker(server, "#repeats=1&concurrency=1").ask(pictures, claims)
        assert "max_completion_tokens" in server.requests[-1]
        assert len(server.requests) == 5 + 4
    assert set(by_claim(answers, "answer").values()) == {"yes"}
    assert "does not accept logprobs" in caplog.text


def test_a_limit_of_candidates_is_kept_to(pictures, claims):
    def act(request, number):
        if request["top_logprobs"] > 5:
            return Act({"error": {"message": "top_logprobs must be at most 5"}}, 400)
        return sure(request)

    with replaying(act) as server:
        answers = asker(server, "#concurrency=1").ask(pictures, claims)
    assert set(by_claim(answers, "answer").values()) == {"yes"}


def test_so_many_at_once_and_no_more(pictures, claims):
    def act(request, number):
        return Act(chat("Yes", {"Yes": 0.8, "No": 0.1}), stall=0.1)

    with replaying(act) as server:
        asker(server, "#concurrency=3").ask(pictures, claims)
        assert server.most == 3


def test_the_pace_is_kept(pictures, claims):
    times = []

    def act(request, number):
        times.append(time.monotonic())
        return sure(request)

    with replaying(act) as server:
        asker(server, "#rpm=1200").ask(pictures, claims)
    assert np.diff(sorted(times)).min() > 0.02


def test_a_key_comes_from_the_environment_and_goes_nowhere_else(
    pictures, claims, monkeypatch, tmp_path, caplog
):
    secret = "sk-do-not-store-me"
    monkeypatch.setenv("MY_KEY", secret)
    with replaying(sure) as server:
        backend = asker(server, "#key=MY_KEY")
        answers = backend.ask(pictures, claims)
        assert server.headers[0]["Authorization"] == f"Bearer {secret}"
        asker(server, "#record=" + str(tmp_path / "other.jsonl")).ask(pictures, claims)
        assert "Authorization" not in server.headers[-1], "no key is sent unless one is named"
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert all(secret not in text for text in written)
    assert secret not in str(answers.data.to_pylist()) + caplog.text + str(backend.usage)
    assert secret.encode() not in pickle.dumps(backend)


@pytest.mark.parametrize("value", [None, "", "two\nlines"])
def test_a_key_that_is_not_set_is_said_before_anything_is_sent(
    pictures, claims, monkeypatch, value
):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with replaying(sure) as server:
        with pytest.raises(BackendError, match="MY_KEY"):
            asker(server, "#key=MY_KEY").ask(pictures, claims)
        assert server.requests == []


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("qwen", "names no server"),
        ("qwen@localhost:8000", "names no server"),
        ("@http://localhost/v1", "names no server"),
        ("qwen@http://", "no address"),
        ("qwen@http://localhost:0/v1", "no address"),
        ("qwen@http://localhost:port/v1", "cannot be read"),
        ("qwen@https://me:secret@host/v1", "name or password"),
        ("qwen@https://host/v1?api_key=secret", "has a query"),
        ("qwen@http://host/v1#key=sk-secret", "NAME of an environment variable"),
        ("qwen@http://host/v1#key=sksecret", "NAME of an environment variable"),
        ("qwen@http://host/v1#repeat=3", 'did you mean "repeats"'),
        ("qwen@http://host/v1#repeats=0", "from 1 to 100"),
        ("qwen@http://host/v1#rpm=nan", "from 0.01"),
        ("qwen@http://host/v1#timeout=soon", "from 0.01"),
    ],
)
def test_references_that_cannot_be_used_say_why_and_never_repeat_a_key(target, says):
    with pytest.raises(InputError, match=says) as found:
        open_asker(f"openai:{target}")
    assert "secret" not in str(found.value)


def test_a_target_may_name_the_whole_address():
    target = parse_target("a/b@c@http://host:1/v1/chat/completions")
    assert (target.model, target.url) == ("a/b@c", "http://host:1/v1")
    assert parse_target("gpt@https://api.openai.com/v1").key == "OPENAI_API_KEY"


def test_statements_cannot_be_served_and_say_so(pictures, claims):
    with replaying(sure) as server:
        answers = asker(server).ask(pictures, claims, prompts=("statement",))
        assert server.requests == []
    assert set(by_claim(answers, "status").values()) == {"statement_not_served"}


def test_a_record_survives_a_cut_line_and_refuses_what_is_none(tmp_path, caplog):
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.put("k1", {"text": "yes"})
    record.close()
    with path.open("ab") as file:
        file.write(b'\n{"form": 1, "asked": "k2", "rep')
    record = Record(path)
    assert record.get("k1") == {"text": "yes"}
    assert "1 lines cut short" in caplog.text
    record.put("k3", {"text": "no"})
    record.close()
    assert len(Record(path)) == 2
    other = tmp_path / "shopping.txt"
    other.write_text("milk\neggs\n")
    with pytest.raises(FileError, match="no record of replies"):
        Record(other)
    with pytest.raises(FileError, match="cannot be used"):
        Record(tmp_path)


def test_pictures_are_made_smaller_where_that_is_wished(claims):
    from spatialtrust.backends.served.client import Client
    from spatialtrust.backends.served.reader import ServedReader

    image = np.zeros((100, 300, 3), dtype=np.uint8)
    for settings, size in (("", (300, 100)), ("#side=150", (150, 50))):
        target = parse_target(f"m@http://localhost:1/v1{settings}")
        reader = ServedReader(Client(target, record=None))
        content = reader.prepare(image).url.partition(",")[2]
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == size


_RUN = """
import sys
import numpy as np
from spatialtrust.backends.registry import open_asker
from spatialtrust.tables import Claims

generator = np.random.default_rng(0)
pictures = {f"{n}.jpg": generator.integers(0, 256, (20, 30, 3), dtype=np.uint8) for n in range(6)}
claims = Claims.from_rows(
    {"claim_id": f"{n}-{m}", "image_id": f"{n}.jpg", "subject": "mug", "relation": "left of",
     "object": f"thing {m}"} for n in range(6) for m in range(5))
answers = open_asker(sys.argv[1]).ask(pictures, claims)
print(answers.data.num_rows, set(answers.column("status").to_pylist()))
"""


def _run(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_killed_and_resumed_no_question_is_asked_twice_that_was_answered(tmp_path):
    """Stalls, 429, and half replies on the way; SIGKILL in the middle."""
    failed = set()

    def act(request, number):
        key = (question_of(request), request["messages"][0]["content"][0]["image_url"]["url"])
        kind = len(failed) % 4
        if key not in failed:
            failed.add(key)
            if kind == 0:
                return Act(b"", 429, {"Retry-After": "0.02"})
            if kind == 1:
                return Act(chat("Yes", {"Yes": 0.8}), cut=30)
            if kind == 2:
                return Act(chat("Yes", {"Yes": 0.8}), stall=0.7)
        answered.append(key)
        return Act(chat("Yes", {"Yes": 0.8, "No": 0.1}), stall=0.02)

    answered: list = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPATIALTRUST_HOME": str(tmp_path)}
    with replaying(act) as server:
        reference = f"openai:m@{server.url}#concurrency=4&timeout=0.5"
        command = [sys.executable, "-c", _RUN, reference]
        first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while len(answered) < 12 and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = len(Record(next(tmp_path.glob("asked/*.jsonl"))))
        assert 0 < kept < 30
        before = len(answered)
        second = _run(command, environment)
        assert second.stdout.strip() == "30 {'ok'}", second.stderr
        # What was under way when the kill came was answered to nobody; all that was kept is not
        # asked again.
        assert len(answered) - before == 30 - kept
        twice = len(answered) - len(set(answered))
        assert twice <= 4, "no more than were under way"
        third = _run(command, environment)
        assert third.stdout == second.stdout
        assert len(answered) == before + 30 - kept


def test_one_question_that_is_never_answered_does_not_stop_later_runs(pictures, claims):
    def act(request, number):
        return Act(b"", 500) if "contain" in question_of(request) else sure(request)

    with replaying(act) as server:
        settings = "#concurrency=1&attempts=2"
        for _ in range(2):
            status = by_claim(asker(server, settings).ask(pictures, claims), "status")
            assert status.pop("2").startswith("failed: HTTP 500")
            assert set(status.values()) == {"ok"}
        assert len(server.requests) == 4 + 2 + 2
