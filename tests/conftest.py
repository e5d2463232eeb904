"""Settings for all tests, and the helper modules that they import by name."""

import importlib.util
import sys
from pathlib import Path

from hypothesis import settings

# Tests never time anything: a busy machine must not fail them. Fixed examples, so that a run can be repeated.
settings.register_profile("covoguard", deadline=None, derandomize=True)
settings.load_profile("covoguard")


def _load_helper(name: str) -> None:
    """Make tests/<name>.py importable by its bare name, without this folder, with its `datasets`, on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_load_helper("sound_files")
_load_helper("hostile_files")
_load_helper("speech_and_model")
_load_helper("scan_output")
_load_helper("secret_leaks")
_load_helper("marked_sound")
_load_helper("tone_generator")
_load_helper("corpus_trees")
_load_helper("pocket_model")
_load_helper("covo_checkpoint")
_load_helper("served_model")
_load_helper("tiny_speech_models")
_load_helper("training_tones")
_load_helper("labelled_clips")
_load_helper("no_network")
_load_helper("signed_files")
_load_helper("waveform_mark_parts")
_load_helper("forensic_sound")
_load_helper("chromium")
