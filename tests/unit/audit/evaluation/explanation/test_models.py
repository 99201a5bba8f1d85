"""Explaining and judging by language models: an endpoint over HTTP, and a local folder."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from audit.evaluation.explanation import prompts
from audit.evaluation.explanation.detection import detection_score
from audit.evaluation.explanation.endpoint import Endpoint
from audit.evaluation.explanation.explainers import ModelExplainer, ModelJudge
from audit.evaluation.explanation.local import LocalJudge, LocalModel
from helpers.explanation_data import example
from seedstability.errors import UserError

ACTIVE = [example("for", " x", " in", fires=(0,)), example("\n", "for", " y", fires=(1,))]
INACTIVE = [example("return", " x"), example("while", " y")]


def completion(text) -> dict:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


class Server:
    """Answers requests in turn, each with a status and a body, and remembers them."""

    def __init__(self, *replies):
        self.asked: list[dict] = []
        self.headers: list[dict] = []
        self.paths: list[str] = []
        outer, left = self, list(replies)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(json.loads(body))
                outer.headers.append(dict(self.headers))
                outer.paths.append(self.path)
                status, reply = left.pop(0) if len(left) > 1 else left[0]
                reply = reply(outer.asked[-1]) if callable(reply) else reply
                content = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                with suppress(BrokenPipeError):  # the client timed out
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *said):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def endpoint(self, **more) -> Endpoint:
        address = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        return Endpoint(address, "tiny", **{"pause": 0.0, "retries": 2, **more})


@pytest.fixture
def serve(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def start(*replies) -> Server:
        servers.append(Server(*replies))
        return servers[-1]

    yield start
    for each in servers:
        each.server.shutdown()
        each.server.server_close()


def knows_loops(request: dict) -> dict:
    """Explains with one sentence; judges a passage active where it has the word."""
    instruction, question = (message["content"] for message in request["messages"])
    if instruction == prompts.EXPLAIN:
        return completion("It fires on the keyword\n for.")
    passages = question.split("Passages:\n")[1].splitlines()
    return completion(f"Sure: {[int('for' in passage) for passage in passages]}")


def test_explainer_and_judge_work_with_an_endpoint(serve):
    server = serve((200, knows_loops))
    model = server.endpoint()
    said = ModelExplainer(model).explain(ACTIVE, INACTIVE)
    assert said == "It fires on the keyword for."
    assert detection_score(said, ModelJudge(model, at_once=3), ACTIVE, INACTIVE) == 1.0
    assert set(server.paths) == {"/v1/chat/completions"}
    assert {request["model"] for request in server.asked} == {"tiny"}
    assert {request["temperature"] for request in server.asked} == {0.0}
    assert len(server.asked) == 3


def test_only_the_explainer_sees_marks_and_strengths(serve):
    server = serve((200, knows_loops))
    model = server.endpoint()
    ModelExplainer(model, shown=1).explain(ACTIVE, INACTIVE)
    ModelJudge(model).judge("loops", ACTIVE)
    explained, judged = (request["messages"][1]["content"] for request in server.asked)
    assert explained == "1. ⟦for⟧ x in\n   strengths: 'for' 10"
    assert "⟦" not in judged
    assert "2. \\nfor y" in judged


def test_the_key_comes_from_the_environment_and_is_sent(serve, monkeypatch):
    server = serve((200, completion("yes")))
    monkeypatch.setenv("TINY_KEY", "secret")
    server.endpoint(key_variable="TINY_KEY").complete("a", "b")
    assert server.headers[0]["Authorization"] == "Bearer secret"
    server.endpoint().complete("a", "b")
    assert "Authorization" not in server.headers[1]


def test_a_missing_key_is_named(serve, monkeypatch):
    monkeypatch.delenv("TINY_KEY", raising=False)
    with pytest.raises(UserError, match="no TINY_KEY"):
        serve((200, {})).endpoint(key_variable="TINY_KEY").complete("a", "b")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_requests_to_a_busy_server_are_retried(serve, status):
    server = serve((status, "busy"), (status, "busy"), (200, completion("now")))
    assert server.endpoint().complete("a", "b") == "now"
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_an_error(serve):
    server = serve((503, "try\nlater"))
    with pytest.raises(UserError, match="asked 3 times") as refused:
        server.endpoint().complete("a", "b")
    assert "\n" not in str(refused.value)
    assert len(server.asked) == 3


def test_a_refusal_is_not_retried_and_gives_the_reason(serve):
    server = serve((401, {"error": "bad key"}))
    with pytest.raises(UserError, match=r"status 401.*bad key"):
        server.endpoint().complete("a", "b")
    assert len(server.asked) == 1


def test_an_unreachable_address_is_a_one_line_error(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    unreachable = Endpoint("http://127.0.0.1:9/v1", "tiny", retries=1, pause=0.0)
    with pytest.raises(UserError, match="is it running"):
        unreachable.complete("a", "b")


def test_a_slow_server_runs_into_the_timeout(serve):
    import time

    def slow(request):
        time.sleep(0.5)
        return completion("late")

    with pytest.raises(UserError, match="did not answer"):
        serve((200, slow)).endpoint(timeout=0.05, retries=0).complete("a", "b")


def test_an_invalid_address_is_refused():
    with pytest.raises(UserError, match="check base_url"):
        Endpoint("localhost/v1", "tiny", retries=0).complete("a", "b")


@pytest.mark.parametrize(
    "reply", ["<html>", [], {}, {"choices": []}, {"choices": [{"text": "old"}]}, completion(None)]
)
def test_a_reply_that_is_not_a_chat_completion_is_refused(serve, reply):
    with pytest.raises(UserError, match="not a chat completion"):
        serve((200, reply)).endpoint().complete("a", "b")


@pytest.mark.parametrize(
    "reply", ["yes, no", "[1]", "[1, 2, 0, 0]", "[true, [0", "[1, 0, 0, 'no']"]
)
def test_a_malformed_reply_is_retried_and_then_refused(serve, reply):
    server = serve((200, completion(reply)))
    judge = ModelJudge(server.endpoint(), attempts=2)
    with pytest.raises(UserError, match="not a list of 4 zeros and ones"):
        judge.judge("loops", [*ACTIVE, *INACTIVE])
    assert len(server.asked) == 2


def test_an_empty_explanation_is_refused(serve):
    with pytest.raises(UserError, match="empty"):
        ModelExplainer(serve((200, completion(" \n"))).endpoint()).explain(ACTIVE, INACTIVE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model of GPT-2's architecture with a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate(alphabet)}
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = tmp_path_factory.mktemp("model")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(
        made
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=len(vocabulary), n_positions=2048, n_embd=16, n_layer=1, n_head=2
        )
        GPT2LMHeadModel(config).save_pretrained(made)
    return made


def test_a_local_model_answers_deterministically(folder):
    explainer = ModelExplainer(LocalModel(folder, max_tokens=8))
    said = explainer.explain(ACTIVE, INACTIVE)
    assert said
    assert explainer.explain(ACTIVE, INACTIVE) == said


def test_a_local_model_judges_by_likelihood(folder):
    model = LocalModel(folder)
    said = LocalJudge(model).judge("loops", [*ACTIVE, *INACTIVE])
    assert len(said) == 4
    for answer, window in zip(said, [*ACTIVE, *INACTIVE], strict=True):
        text = prompts.yes_no_prompt("loops", window)
        assert answer == (model.log_probability(text, " yes") > model.log_probability(text, " no"))
    assert 0.0 <= detection_score("loops", LocalJudge(model), ACTIVE, INACTIVE) <= 1.0


def test_log_probability_sums_over_the_tokens_of_the_continuation(folder):
    model = LocalModel(folder)
    first, second = model.log_probability("a", "b"), model.log_probability("ab", "c")
    assert model.log_probability("a", "bc") == pytest.approx(first + second, rel=1e-5)
    tokenizer, network = model._loaded
    with torch.no_grad():
        expected = network(torch.tensor([tokenizer("a")["input_ids"]])).logits[0, -1]
    [number] = tokenizer("b")["input_ids"]
    assert first == pytest.approx(expected.log_softmax(-1)[number].item(), rel=1e-5)


def test_a_question_too_long_for_the_model_is_refused(folder):
    with pytest.raises(UserError, match="reads 2048 tokens"):
        LocalModel(folder).complete("a" * 3000, "b")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no causal language model") as refused:
        LocalModel(tmp_path).complete("a", "b")
    assert "\n" not in str(refused.value)
