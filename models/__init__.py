"""What each model is: its tensors, preprocessing, labels, network and data. See `models.model`."""
