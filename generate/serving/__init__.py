"""A generator that another program runs: the client of an OpenAI-style server, and the mark inside that server.

Written against vLLM 0.30 (V1 model runner) and vLLM-Omni 0.30 as their sources and pages describe them.
"""
