"""Batch jobs: data in, one published version of a model out. See `training.job`."""
