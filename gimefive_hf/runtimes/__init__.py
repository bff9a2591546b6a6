"""What runs the network: torch or ONNX, and the export from one to the other. Imports `explain` and `recognizer`."""
