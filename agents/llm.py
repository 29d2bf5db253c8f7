"""One factory of language models: none, any of LangChain's providers, or a scripted one for tests."""

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.settings import ModelSettings
from components.core.errors import UnavailableError
from components.core.hashing import sha256_bytes

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

MAX_ANSWER = 8_000
"""Characters of an answer that are read at most; a longer one is refused whole."""

_CHARACTERS_PER_TOKEN = 2
"""Where a provider reports no usage it is estimated; English has about 4, so that the estimate is not too low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said, and what it cost; `money` is 0 where the price is not known."""

    text: str
    money: float

    @property
    def sha256(self) -> str:
        """Hash of the raw text, for the transcript."""
        return sha256_bytes(self.text.encode("utf-8", errors="surrogatepass"))


class ModelFaultError(Exception):
    """The model gave no usable answer: time-out, provider's error, no text, too much text. Callers go on without.

    Attributes:
        money: What it cost all the same.
    """

    def __init__(self, message: str, *, money: float = 0.0) -> None:
        super().__init__(message)
        self.money = money


class ChatModel:
    """A language model that answers in time or not at all."""

    def __init__(self, settings: ModelSettings, *, model: "BaseChatModel") -> None:
        self._settings, self._model = settings, model
        self.name = f"{settings.provider}:{settings.name}" if settings.name else settings.provider

    def ask(self, *, system: str, user: str, schema: dict[str, Any] | None = None) -> Answer:
        """The model's answer as text; `schema` is passed on where the settings say that the server knows it.

        Raises:
            ModelFaultError: No usable answer came.
        """
        options: dict[str, Any] = {}
        if schema is not None and self._settings.json_schema:
            named = {"name": "answer", "strict": True, "schema": schema}
            options["response_format"] = {"type": "json_schema", "json_schema": named}
        message = self._within_time([("system", system), ("user", user)], options)
        text, money = message.text, self._cost(message, system + user)
        if not text or len(text) > MAX_ANSWER:
            raise ModelFaultError(
                f"{self.name} answered with {len(text)} characters, allowed are 1 to {MAX_ANSWER}", money=money
            )
        return Answer(text=text, money=money)

    def _within_time(self, messages: list[tuple[str, str]], options: dict[str, Any]) -> "AIMessage":
        """Ask in a thread of its own: not every provider keeps the time-out it was given."""
        result: queue.SimpleQueue[AIMessage | Exception] = queue.SimpleQueue()

        def run() -> None:
            try:
                result.put(self._model.invoke(messages, **options))
            except Exception as error:  # noqa: BLE001 - each provider raises its own; all mean "no answer" to callers
                result.put(error)

        threading.Thread(target=run, name="language-model", daemon=True).start()
        try:
            found = result.get(timeout=self._settings.timeout)
        except queue.Empty as error:
            raise ModelFaultError(f"{self.name} did not answer within {self._settings.timeout} s") from error
        if isinstance(found, Exception):
            raise ModelFaultError(f"{self.name} failed: {type(found).__name__}") from found
        return found

    def _cost(self, message: "AIMessage", prompt: str) -> float:
        price, usage = self._settings.price, message.usage_metadata
        if price is None:
            return 0.0
        read = usage["input_tokens"] if usage else len(prompt) / _CHARACTERS_PER_TOKEN
        written = usage["output_tokens"] if usage else len(message.text) / _CHARACTERS_PER_TOKEN
        return (max(read, 0) * price.input + max(written, 0) * price.output) / 1e6


def make_model(settings: ModelSettings) -> ChatModel | None:
    """The language model of the settings, None for `none`.

    Raises:
        UnavailableError: The provider's package is not installed, its key is missing, or it refuses the settings.
    """
    if settings.provider == "none":
        return None
    if settings.provider == "scripted":
        from langchain_core.language_models.fake_chat_models import FakeListChatModel

        return ChatModel(settings, model=FakeListChatModel(responses=list(settings.answers)))
    from langchain.chat_models import init_chat_model

    options: dict[str, Any] = {"base_url": settings.base_url} if settings.base_url else {}
    try:
        model = init_chat_model(
            settings.name,
            model_provider=settings.provider,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            timeout=settings.timeout,
            max_retries=1,
            **options,
        )
    except Exception as error:
        # Each provider has its own errors for a missing package, a missing key and an option it does not know.
        raise UnavailableError(
            f"Language model {settings.provider}:{settings.name} cannot be used: {_first_line(error)}.",
            hint="Install its LangChain package and set its key, or set provider: none in agents.yaml.",
        ) from error
    return ChatModel(settings, model=model)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": .")
