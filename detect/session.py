"""ONNX graphs at work, by onnxruntime alone: a scan with a bundled detector loads no torch."""

from typing import Any

from ..core.onnx import onnxruntime
from ..core.records import Float32Array

SAMPLES_INPUT = "samples"
SCORE_OUTPUT = "score"
EMBEDDING_OUTPUT = "embedding"


def open_graph(graph: bytes) -> Any:
    """A session of onnxruntime; raises one of `graph_errors`.

    One thread: the order of summation, and so every bit of a score, must not depend on the machine's load.
    """
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False  # windows differ in length
    options.log_severity_level = 3
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def graph_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises on a graph that it cannot run; the classes have no common root."""
    state = onnxruntime().capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def score_of(session: Any, samples: Float32Array) -> float:
    """The score of samples (n,)."""
    (scores,) = session.run([SCORE_OUTPUT], {SAMPLES_INPUT: samples[None]})
    return float(scores[0])
