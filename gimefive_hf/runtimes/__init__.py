"""
What turns aligned crops into probabilities: torch, onnxruntime, which of them is taken, and the export from one to the
other. What needs torch is imported only for it. Imports `explain` and the files of a checkpoint.
"""
