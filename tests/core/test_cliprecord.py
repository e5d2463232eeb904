"""A line of the manifest reads back as what was written, or is refused with the field that is wrong."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.cliprecord import (
    FAILED_CHECKS,
    ClipCheck,
    ClipFailure,
    ClipMark,
    ClipPrompt,
    ClipRecord,
    ClipReply,
    SpeechKind,
    clip_line,
    read_clip_line,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**53), 2**53)
texts = st.text(max_size=20)
names = st.text(st.characters(codec="ascii"), max_size=8)
checks = st.builds(
    ClipCheck,
    st.sampled_from([*FAILED_CHECKS, "mark_found", "too_short", "not_marked"]),
    st.none() | numbers, st.none() | numbers, st.none() | numbers, st.none() | texts,
)  # fmt: skip
records = st.builds(
    ClipRecord, schema_version=st.just(1), index=whole, clip_id=names, path=st.none() | names, sha256=st.none() | names,
    label=st.just("spoof"), generator=names, model_id=names, model_sha256=names, family=names,
    kind=st.sampled_from(get_args(SpeechKind)), speaker=st.none() | texts, source=st.just("covoguard generate"),
    licence=st.none() | texts, prompt=st.builds(ClipPrompt, texts, st.none() | texts, whole), take=whole, seed=whole,
    sampling=st.dictionaries(names, numbers | whole | texts, max_size=3).map(lambda each: tuple(each.items())),
    mark=st.none() | st.builds(ClipMark, names, names, whole, names, st.none() | st.tuples(whole, whole, whole)),
    tokens=st.none() | st.lists(whole, max_size=5).map(tuple), token_rate_hz=st.none() | whole,
    sample_rate_hz=st.none() | whole, duration_s=st.none() | numbers,
    replies=st.lists(st.builds(ClipReply, texts, numbers, numbers, names), max_size=2).map(tuple),
    check=st.none() | checks,
    error=st.none() | st.builds(ClipFailure, names, texts), tool_version=names,
)  # fmt: skip


@given(records)
def test_a_record_comes_back_from_its_line(record):
    line = clip_line(record)
    assert "\n" not in line
    assert line.isascii()
    assert read_clip_line(line) == record
    assert clip_line(read_clip_line(line.encode())) == line


@given(records, st.data())
def test_a_line_that_lacks_or_adds_something_is_refused(record, data):
    content = json.loads(clip_line(record))
    name = data.draw(st.sampled_from(sorted(content)))
    for changed in ({key: value for key, value in content.items() if key != name}, {**content, "new": 1}):
        with pytest.raises(ValueError, match=name if "new" not in changed else "new"):
            read_clip_line(json.dumps(changed))


@pytest.mark.parametrize("line", ["", "{}", "[]", "1", "null", "{", "[" * 5000, '{"sampling": []}', '{"sampling": {}}'])
def test_what_is_no_record_is_refused(line):
    with pytest.raises(ValueError, match=r".+"):
        read_clip_line(line)


@given(records)
def test_settings_are_numbers_or_text(record):
    content = json.loads(clip_line(record))
    for value in (None, [], {}, True):
        with pytest.raises(ValueError, match="sampling"):
            read_clip_line(json.dumps({**content, "sampling": {"x": value}}))


@given(records)
def test_tokens_are_whole_numbers(record):
    content = json.loads(clip_line(record))
    for tokens in (1, [1.0], [True], ["1"], {}):
        with pytest.raises(ValueError, match="tokens"):
            read_clip_line(json.dumps({**content, "tokens": tokens}))
