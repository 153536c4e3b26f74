"""Batch scoring: rows of a file in, a line for each out, however large the file and whatever happens.

- `rows`, with `lines`, `arrays`, `files` and `parquet`: what an input holds, in blocks, from any position on;
  `inputs` opens one by its suffix
- `cells`: one cell of a row into a raw input of the model
- `saved_model`, `server`: who answers, a version of the store or a server
- `outcomes`: the answers and the bad rows of a block, as lines
- `log`, `record`: the lines on disk, and how far they reach
- `shards`: the part of the rows that is one pod's, and the parts joined
- `watch`: how far a job is, for people
- `job`: all of it in order
"""
