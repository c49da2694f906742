"""Triton kernels, installed as neural_paint.kernels: imported where Triton is present, never needed."""
