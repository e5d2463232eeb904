"""Comparison of AASIST and LFCC-LCNN-LSTM with reference outputs."""
