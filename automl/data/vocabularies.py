"""Conversion of texts to token ids and back, fitted to a training set: symbols or subwords.

Ids below 4 are those of automl.data.tokens: padding, unknown, begin, end.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from automl.data.tokens import BEGIN, END, PADDING, UNKNOWN, number_tokens

N_SPECIAL = END + 1


class Vocabulary(Protocol):
    def __len__(self) -> int: ...  # number of ids, including the special ones
    def encode(self, text: str) -> list[int]: ...  # without BEGIN and END
    def decode(self, numbers: Iterable[int]) -> str: ...  # up to END, without special tokens
    def to_json(self) -> dict[str, Any]: ...  # inverse: vocabulary_from_json


class Symbols:
    """Symbols with a separator: none for letters, a space for phones."""

    def __init__(self, symbols: Iterable[str], separator: str) -> None:
        self.symbols, self.separator = list(symbols), separator
        self.known = {symbol: number for number, symbol in enumerate(self.symbols, N_SPECIAL)}

    @classmethod
    def fitted(cls, texts: Iterable[str], separator: str) -> "Symbols":
        """A vocabulary of every symbol in the texts."""
        return cls(number_tokens(cut(text, separator) for text in texts), separator)

    def __len__(self) -> int:
        return N_SPECIAL + len(self.symbols)

    def encode(self, text: str) -> list[int]:
        return [self.known.get(symbol, UNKNOWN) for symbol in cut(text, self.separator)]

    def decode(self, numbers: Iterable[int]) -> str:
        return self.separator.join(self.symbols[number - N_SPECIAL] for number in until_end(numbers))

    def to_json(self) -> dict[str, Any]:
        return {"kind": "symbols", "symbols": self.symbols, "separator": self.separator}


class Subwords:
    """Byte-level byte-pair encoding (Sennrich et al. 2016), without unknown tokens."""

    def __init__(self, tokenizer: str) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.tokenizer.encode_special_tokens = True  # "[end]" in a text is letters

    @classmethod
    def fitted(cls, texts: Iterable[str], size: int) -> "Subwords":
        """A vocabulary of `size` ids, trained on the texts."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=["[padding]", "[unknown]", "[begin]", "[end]"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def decode(self, numbers: Iterable[int]) -> str:
        return str(self.tokenizer.decode(until_end(numbers))).strip()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "subwords", "tokenizer": self.tokenizer.to_str()}


def vocabulary_from_json(fields: Mapping[str, Any]) -> Vocabulary:
    if fields["kind"] == "symbols":
        return Symbols(fields["symbols"], fields["separator"])
    return Subwords(fields["tokenizer"])


def cut(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def until_end(numbers: Iterable[int]) -> list[int]:
    """The ids before the first END, without special ones."""
    found: list[int] = []
    for number in numbers:
        if number == END:
            break
        if number not in (PADDING, UNKNOWN, BEGIN):
            found.append(number)
    return found
