"""Settings, policy, knowledge, the model factory and the savers."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import numpy as np
import pytest
from langgraph.graph import END, START, StateGraph

from agents.checkpoints import open_saver
from agents.graphs.limits import BuilderLimits
from agents.knowledge.heuristics import FOLDER, Bound, DataFacts, beginning, image_facts, load_heuristics
from agents.llm import MAX_ANSWER, ModelFaultError, make_model
from agents.policy import ToolGuard
from agents.settings import AgentSettings, ModelSettings, Price, load_agent_settings
from components.core.contracts import Modality
from components.core.errors import ConfigError, RefusedError, UnavailableError
from components.search.space import load_space
from components.testing.databases import drop_tables

ROOT = Path(__file__).parents[2]


def test_the_shipped_settings_need_no_model_and_equal_the_defaults() -> None:
    settings = load_agent_settings()
    assert settings == AgentSettings()
    assert make_model(settings.model) is None
    assert BuilderLimits.of(settings.builder, trials=8).patience > 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: {provider: openai}", "needs the name of a model"),
        ("model: {provider: scripted}", "needs answers"),
        ("model: {api_key: sk-1}", "api_key"),
        ("builder: {patience: 0}", "patience"),
        ("model: {price: {input: -1, output: 0}}", "price.input"),
        ("model: [", "not YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_agent_settings(path)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        load_agent_settings(tmp_path / "agents.yaml")


def test_a_tool_that_is_not_named_or_used_up_is_refused_and_not_called() -> None:
    guard = ToolGuard("builder", limits={"evaluate": 3}, used={"evaluate": 1})
    calls: list[int] = []
    assert guard.call("evaluate", lambda: 7) == 7
    guard.call("evaluate", lambda: calls.append(1))
    with pytest.raises(RefusedError, match="may call evaluate 3 times and has called it 3 times"):
        guard.call("evaluate", lambda: calls.append(2))
    with pytest.raises(RefusedError, match="may call approve 0 times"):
        guard.call("approve", lambda: calls.append(3))
    assert calls == [1]


@pytest.mark.parametrize(
    ("bound", "fact", "met"),
    [
        (Bound(at_least=3), 3, True),
        (Bound(at_least=3), 2, False),
        (Bound(at_most=3), 3, True),
        (Bound(at_least=1, at_most=3), 4, False),
        (Bound(equals=True), True, True),
        (Bound(equals=True), False, False),
        (Bound(at_least=3), None, False),
        (Bound(equals=True), None, False),
    ],
)
def test_bounds(bound: Bound, fact: Any, met: bool) -> None:
    assert bound.is_met(fact) is met


@pytest.mark.parametrize("detector", [path.stem for path in FOLDER.glob("*.yaml")])
def test_shipped_knowledge_lies_within_the_search_space(detector: str) -> None:
    space = load_space(detector)
    heuristics = load_heuristics(detector)
    assert heuristics
    assert len({heuristic.id for heuristic in heuristics}) == len(heuristics)
    for heuristic in heuristics:
        assert space.problem({**space.defaults(), **heuristic.params}) == "", heuristic.id
        assert heuristic.params != {name: space.defaults()[name] for name in heuristic.params}, heuristic.id
        assert heuristic.source


@pytest.mark.parametrize("text", ["detector: x\nheuristics: [{id: a}]", "detector: [", "other: 1"])
def test_wrong_knowledge_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        load_heuristics("x", folder=tmp_path)


def test_a_condition_on_an_unknown_fact_is_refused(tmp_path: Path) -> None:
    text = "detector: x\nheuristics: [{id: a, when: {moon: {equals: true}}, params: {b: 1}, why: '', source: ''}]"
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match="no such fact: moon"):
        load_heuristics("x", folder=tmp_path)
    assert "test" not in " ".join(DataFacts.model_fields)


def test_a_scripted_model_says_its_answers_in_turn() -> None:
    model = make_model(ModelSettings(provider="scripted", answers=("one", "two")))
    assert model is not None
    assert [model.ask(system="", user="").text for _ in range(3)] == ["one", "two", "one"]


def test_cost_without_reported_usage_is_estimated() -> None:
    price = Price(input=1e6, output=1e6)
    model = make_model(ModelSettings(provider="scripted", answers=("1234",), price=price))
    assert model is not None
    assert model.ask(system="ab", user="cdef").money == 6 / 2 + 4 / 2


def test_too_long_and_empty_answers_are_faults() -> None:
    price = Price(input=0, output=4e6)
    model = make_model(ModelSettings(provider="scripted", answers=("x" * MAX_ANSWER + "yyy", ""), price=price))
    assert model is not None
    for cost in (MAX_ANSWER + 3, 0.0):
        with pytest.raises(ModelFaultError, match="characters") as fault:
            model.ask(system="", user="")
        assert fault.value.money == pytest.approx(2 * cost)  # a word has two characters, about


@pytest.mark.parametrize("provider", ["anthropic", "nobody"])
def test_a_provider_that_is_not_there_is_named(provider: str) -> None:
    with pytest.raises(UnavailableError, match=f"Language model {provider}:m cannot be used"):
        make_model(ModelSettings(provider=provider, name="m"))


class Pictures(list):
    """Samples that are their own list."""

    def take(self, indices):
        return [self[index] for index in indices]


@pytest.mark.parametrize(("side", "tiles"), [(479, None), (480, 2), (2000, 2)])
def test_memories_begin_with_tiles_on_large_images(side: int, tiles: int | None) -> None:
    images = Pictures([np.zeros((side, side + 40, 3), np.uint8)] * 3)
    counts = {"modality": Modality.IMAGE, "train_samples": 200, "validation_samples": 90, "synthetic": True}
    facts = DataFacts(**counts, **image_facts(images))
    assert (facts.short_side, facts.long_side, facts.grey) == (side, side + 40, True)
    for detector in ("memory-bank", "dino-memory", "ensemble"):
        assert beginning(detector, facts=facts).get("tiles") == tiles
    assert beginning("gaussian", facts=facts) == {}


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UnavailableError, match="openai:m cannot be used"):
        make_model(ModelSettings(provider="openai", name="m"))


class _Count(TypedDict):
    count: int


def test_a_saver_keeps_a_graphs_state_for_the_next_process(any_url: str) -> None:
    def graph(saver: Any) -> Any:
        made = StateGraph(_Count)
        made.add_node("add", lambda state: {"count": state["count"] + 1})
        made.add_edge(START, "add")
        made.add_conditional_edges("add", lambda state: END if state["count"] % 3 == 0 else "add")
        return made.compile(checkpointer=saver)

    where = {"configurable": {"thread_id": "line/ü"}}
    with open_saver(any_url) as saver:
        assert graph(saver).invoke({"count": 0}, where, durability="sync") == {"count": 3}
    with open_saver(any_url) as saver:
        assert graph(saver).get_state(where).values == {"count": 3}


def test_a_database_that_is_gone_within_a_search_is_named(any_url: str) -> None:
    def search() -> None:
        with open_saver(any_url) as saver:
            drop_tables(any_url)
            list(saver.list({"configurable": {"thread_id": "line"}}))

    with pytest.raises(UnavailableError, match=r"The database .* does not answer: .*checkpoint"):
        search()


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    for url in ("postgresql+psycopg://u:secret@127.0.0.1:1/x", "mysql+pymysql://u:secret@127.0.0.1:1/x"):
        with pytest.raises(UnavailableError, match="does not answer") as caught, open_saver(url):
            pass
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be kept in oracle"), open_saver("oracle://x"):
        pass


def test_nothing_here_loads_torch() -> None:
    code = (
        "import sys, agents.graphs.builder, agents.proposers, agents.llm, agents.checkpoints, components.search.study,"
        " components.search.synthetic, components.search.choice\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


class _Chat(BaseHTTPRequestHandler):
    """As much of OpenAI's protocol as a chat needs."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(asked)
        body = json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"params": {}}'}}
                ],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[str]:
    _Chat.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Chat) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_a_provider_of_langchains_is_asked_over_http(chat_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    settings = ModelSettings(
        provider="openai", name="m", base_url=chat_server, json_schema=True, price=Price(input=2.0, output=8.0)
    )
    model = make_model(settings)
    assert model is not None
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    answer = model.ask(system="you tune", user="go", schema=schema)
    assert answer.text == '{"params": {}}'
    assert answer.money == pytest.approx((1000 * 2 + 500 * 8) / 1e6)
    assert model.name == "openai:m"
    (asked,) = _Chat.seen
    assert [message["content"] for message in asked["messages"]] == ["you tune", "go"]
    assert asked["response_format"]["json_schema"]["schema"] == schema
    assert asked["temperature"] == 0.2
