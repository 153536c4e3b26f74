"""TensorFlow Serving's wire formats without TensorFlow: its messages, and arrays as protobuf and as JSON."""
