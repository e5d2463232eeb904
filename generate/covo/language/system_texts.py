# ruff: noqa: RUF001  (Chinese punctuation)
"""What the model is asked for when the user gives no system text of their own.

The model was tuned on such a request, in Chinese, which ends by asking for text and audio in turn, 5 and 15 tokens, in
the voice default_female. These words are our own.
"""

from typing import Literal

Language = Literal["en", "zh"]

_SPOKEN: dict[Language, str] = {
    "en": (
        "You talk with people by voice. Answer what you hear in a few natural, spoken sentences, kindly and to the "
        "point, without lists or symbols.\n"
        "Answer in text and audio in turn: 5 text tokens, then 15 audio tokens, and so on. "
        "The speaker of the audio is default_female"
    ),
    "zh": (
        "你用语音和人聊天。听完对方的话，用几句自然的口语亲切地回答，说到重点，不念符号，也不列清单。\n"
        "回答时文本和音频轮流输出：先5个文本token，再15个音频token，依次交替，音频的发音人是default_female"
    ),
}
_WRITTEN: dict[Language, str] = {
    "en": "You listen closely. Think about what you hear and answer in clear and correct text.",
    "zh": "你善于倾听。请仔细想一想听到的内容，用清楚、准确的文字回答。",
}


def default_system_text(language: Language = "zh", *, text_only: bool = False) -> str:
    """The system text for answers in text and audio, or in text only."""
    return (_WRITTEN if text_only else _SPOKEN)[language]
