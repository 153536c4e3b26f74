"""Batch scoring: rows of a file in, a line for each out, however large the file and whatever happens on the way.

    rows ⟵ lines | arrays | files | parquet     what the input holds, in blocks, from any position on
    cells                                       one cell of a row into a raw input of the model
    saved_model | server                        who answers: a version of the store, or a server
    outcomes                                    a block's answers and its bad rows, as lines
    log                                         the lines on disk, and how far they reach: what a resumed job goes by
    shards                                      the part of the rows that is one pod's, and the parts put together
    job                                         all of it in order
"""
