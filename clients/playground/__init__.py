"""The playground: one page where a digit is drawn and a review written, and a model server answers."""
