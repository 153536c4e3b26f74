"""Versions that come and go, labels, reloads and warm-up, each on models of its own."""

from __future__ import annotations

from collections.abc import Sequence

from .lifecycle_steps import (
    Begin,
    Finish,
    Mend,
    Now,
    Publish,
    Remove,
    Rewrite,
    Scenario,
    Step,
    Terminate,
    Throughout,
    Until,
    config,
    config_list,
    failed,
    gives,
    gone,
    never_seen,
    no_label,
    reload,
    states,
)
from .rows_metrics import PAGE
from .table import MODEL, PREDICTION, Grpc, Rest, floats, predict, spec, tensor

ALL = "all {}"


def _row(row_id: str, rule: str, *steps: Step, server: str = "lifecycle", real: bool = True, note: str = "",
         confirmed: bool = True) -> Scenario:  # fmt: skip
    return Scenario(
        id=row_id, rule=rule, steps=steps, server=server, real=real, note=note, confirmed=confirmed
    )


START = (
    _row("server-starts-without-models", "4.1", Now(
        Grpc(id="", rule="1.8", call=f"{MODEL}/GetModelStatus", request="model_spec { name: 'm' }",
             code="NOT_FOUND", words=("Could not find any versions of model m",)))),
    _row("trap15-unknown-flag-does-not-stop-the-server", "3.1", Now(
        Grpc(id="", rule="3.1", call=f"{MODEL}/GetModelStatus", code="INVALID_ARGUMENT",
             words=("Missing ModelSpec",)))),
)  # fmt: skip

SCAN = (
    _row(
        "file-named-as-a-version-is-none",
        "4.2",
        Publish("file", "1", 1),
        reload(config("file")),
        Publish("file", "7", kind="file"),
        Publish("file", "2", 5),
        Until(gives("file", 6)),
        Now(never_seen("file", 7)),
        real=False,
        note="section 9, 29: TensorFlow Serving tries it as a version, and fails",
    ),
    _row(
        "directory-without-a-model-is-not-yet-a-version",
        "4.2",
        Publish("empty", "1", 1),
        reload(config("empty")),
        Publish("empty", "3", kind="empty"),
        Publish("empty", "2", 5),
        Until(gives("empty", 6)),
        Now(never_seen("empty", 3)),
        Mend("empty", "3"),
        Until(gives("empty", 1)),
        real=False,
        note="section 9, 29: TensorFlow Serving tries it, fails, and tries no more",
    ),
    _row(
        "two-names-for-one-version-the-last-in-order-wins",
        "4.2",
        Publish("twice", "01", 10),
        Publish("twice", "1", 20),
        reload(config("twice")),
        Now(gives("twice", 21, version=1)),
    ),
    _row(
        "contents-replaced-under-a-number-are-not-seen",
        "4.2",
        Publish("replaced", "1", 1),
        reload(config("replaced", ALL)),
        Mend("replaced", "1"),
        Publish("replaced", "2", 5),
        Until(gives("replaced", 6)),
        Now(gives("replaced", 2, version=1)),
    ),
    _row(
        "trap16-emptied-base-path-unloads",
        "4.2",
        Publish("emptied", "1", 1),
        reload(config("emptied")),
        Now(gives("emptied", 2)),
        Remove("emptied/1"),
        Until(gone("emptied")),
        Until(states("emptied", "1 END")),
    ),
    _row(
        "trap16-removed-base-path-unloads-nothing",
        "4.2",
        Publish("removed", "1", 1),
        Publish("beside", "1", 1),
        reload(config("removed")),
        Remove("removed"),
        Publish("removed_witness", "1", 1),
        Now(gives("removed", 2)),
        reload(config("removed")),
        Now(gives("removed", 2)),
    ),
    _row(
        "trap16-missing-base-path-does-not-hold-up-other-models",
        "4.2",
        Publish("present", "1", 1),
        reload(config("present")),
        Publish("vanishing", "1", 1),
        reload(config("present"), config("vanishing")),
        Remove("vanishing"),
        Publish("present", "2", 5),
        Until(gives("present", 6)),
        real=False,
        note="section 9, 15: TensorFlow Serving stops the whole scan at a missing base path",
    ),
)

POLICIES = (
    _row("policy-is-latest-one", "4.3", Publish("one", "1", 1), Publish("one", "2", 5),
         reload(config("one")), Now(gives("one", 6)), Now(gone("one", version=1))),
    _row("policy-latest-zero-means-one", "4.3", Publish("zero", "1", 1), Publish("zero", "2", 5),
         reload(config("zero", "latest { num_versions: 0 }")), Now(gives("zero", 6)),
         Now(gone("zero", version=1))),
    _row("policy-latest-two", "4.3", Publish("two", "1", 1), Publish("two", "2", 2), Publish("two", "10", 5),
         reload(config("two", "latest { num_versions: 2 }")), Until(gives("two", 3, version=2)),
         Now(gives("two", 6)), Now(gone("two", version=1))),
    _row("policy-all", "4.3", Publish("all", "1", 1), Publish("all", "2", 5), reload(config("all", ALL)),
         Until(states("all", "2 AVAILABLE", "1 AVAILABLE"))),
    _row("policy-specific", "4.3", Publish("specific", "1", 1), Publish("specific", "2", 5),
         reload(config("specific", "specific { versions: 1 }")), Now(gives("specific", 2)),
         Now(gone("specific", version=2))),
    _row("policy-specific-some-of-them-missing", "4.3", Publish("partly", "1", 1),
         reload(config("partly", "specific { versions: 1 versions: 8 }")), Now(gives("partly", 2)),
         Now(gone("partly", version=8))),
    _row("policy-specific-of-none-unloads", "4.3", Publish("none", "1", 1), reload(config("none")),
         Now(gives("none", 2)), reload(config("none", "specific {}")), Until(gone("none"))),
    _row("policy-change-rolls-back", "4.3", Publish("rolled", "1", 1), Publish("rolled", "2", 5),
         reload(config("rolled")), Now(gives("rolled", 6)),
         reload(config("rolled", "specific { versions: 1 }")), Until(gives("rolled", 2)),
         Until(states("rolled", "2 END", "1 AVAILABLE"))),
    _row("removing-the-newest-rolls-back", "4.3", Publish("undone", "1", 1), Publish("undone", "2", 5),
         reload(config("undone")), Now(gives("undone", 6)), Remove("undone/2"), Until(gives("undone", 2))),
    _row("latest-is-the-highest-number-not-the-last-name", "4.3", Publish("order", "9", 1),
         Publish("order", "10", 5), reload(config("order")), Now(gives("order", 6))),
)  # fmt: skip

TRANSITIONS = (
    _row(
        "trap18-new-version-is-up-before-the-old-one-goes",
        "4.4",
        Publish("moved", "1", 1),
        reload(config("moved")),
        Throughout(
            Grpc(
                id="", rule="4.4", call=f"{PREDICTION}/Predict", request=predict(spec("moved"), x=floats(2))
            ),
            (
                Publish("moved", "2", 5),
                Until(gives("moved", 6)),
                Until(states("moved", "2 AVAILABLE", "1 END")),
            ),
        ),
        Now(gone("moved", version=1)),
    ),
    _row(
        "failed-version-leaves-the-old-one",
        "4.4",
        Publish("kept", "1", 1),
        reload(config("kept")),
        Publish("kept", "2", kind="broken"),
        Until(failed("kept", 2)),
        Now(gives("kept", 2)),
        Now(gone("kept", version=2)),
    ),
    _row(
        "new-model-whose-newest-version-fails-is-served-by-the-one-before",
        "4.4",
        Publish("before", "1", 1),
        Publish("before", "2", 3),
        Publish("before", "3", kind="broken"),
        reload(config("before")),
        Now(gives("before", 4)),
        Until(failed("before", 3)),
        Now(gone("before", version=1)),
        Publish("before", "4", 6),
        Until(gives("before", 7)),
        Until(gone("before", version=2)),
        real=False,
        note="TensorFlow Serving serves nothing of the model until a newer version loads",
    ),
    _row(
        "trap19-failed-version-is-not-tried-again",
        "4.4",
        Publish("spent", "1", 1),
        reload(config("spent", ALL)),
        Publish("spent", "2", kind="broken"),
        Until(failed("spent", 2)),
        Throughout(failed("spent", 2), (Publish("spent", "3", 7), Until(gives("spent", 8)))),
    ),
    _row(
        "failed-version-whose-files-change-is-tried-again",
        "4.4",
        Publish("mended", "1", 1),
        reload(config("mended", ALL)),
        Publish("mended", "2", kind="broken"),
        Until(failed("mended", 2)),
        Mend("mended", "2"),
        Until(gives("mended", 1, version=2)),
        real=False,
        note="section 9, 29: TensorFlow Serving tries it again only when it goes away and comes back",
    ),
    _row(
        "failed-version-that-goes-and-comes-back-is-tried-again",
        "4.4",
        Publish("back", "1", 1),
        reload(config("back", ALL)),
        Publish("back", "2", kind="broken"),
        Until(failed("back", 2)),
        Remove("back/2"),
        Publish("back", "3", 2),
        Until(gives("back", 3)),
        Publish("back", "2", 5),
        Until(gives("back", 6, version=2)),
    ),
    _row(
        "failed-and-ended-versions-in-json",
        "2.9",
        Publish("told", "1", 1),
        reload(config("told")),
        Publish("told", "2", kind="broken"),
        Until(
            Rest(
                id="",
                rule="2.9",
                method="GET",
                path="/v1/models/told",
                text=('"version": "2"', '"state": "END"', '"state": "AVAILABLE"', '"error_code": "OK"'),
            )
        ),
    ),
    _row(
        "ended-versions-stay-in-the-list",
        "1.8",
        Publish("listed", "1", 1),
        Publish("listed", "2", 5),
        reload(config("listed", ALL)),
        Until(states("listed", "2 AVAILABLE", "1 AVAILABLE")),
        Remove("listed/2"),
        Until(states("listed", "2 END", "1 AVAILABLE")),
    ),
)

LABELS = (
    _row(
        "labels-follow-the-config",
        "4.5",
        Publish("labelled", "1", 1),
        Publish("labelled", "2", 5),
        reload(config("labelled", ALL)),
        Until(states("labelled", "2 AVAILABLE", "1 AVAILABLE")),
        reload(config("labelled", ALL, {"stable": 1, "same": 1, "canary": 2})),
        Now(gives("labelled", 2, label="stable")),
        Now(gives("labelled", 2, label="same")),
        Now(gives("labelled", 6, label="canary")),
        reload(config("labelled", ALL, {"stable": 2})),
        Now(gives("labelled", 6, label="stable")),
        Now(no_label("labelled", "canary")),
    ),
    _row(
        "label-whose-version-is-gone",
        "4.5",
        Publish("lost", "1", 1),
        Publish("lost", "2", 5),
        reload(config("lost", ALL)),
        Until(states("lost", "2 AVAILABLE", "1 AVAILABLE")),
        reload(config("lost", ALL, {"stable": 1})),
        Remove("lost/1"),
        Until(gone("lost", label="stable")),
        Now(gives("lost", 6)),
    ),
    _row(
        "labels-of-another-model-do-not-count",
        "4.5",
        Publish("mine", "1", 1),
        Publish("yours", "1", 1),
        reload(config("mine"), config("yours")),
        reload(config("mine", labels={"stable": 1}), config("yours")),
        Now(gives("mine", 2, label="stable")),
        Now(no_label("yours", "stable")),
    ),
    _row(
        "labels-in-the-config-that-brings-the-model",
        "4.5",
        Publish("fresh", "1", 1),
        reload(config("fresh", labels={"stable": 1})),
        Now(gives("fresh", 2, label="stable")),
        real=False,
        note="section 9, 9: TensorFlow Serving refuses labels for versions that are not yet available",
    ),
    _row(
        "label-that-waits-for-its-version",
        "4.5",
        Publish("early", "1", 1),
        reload(config("early", ALL, {"next": 2})),
        Now(gone("early", label="next")),
        Publish("early", "2", 5),
        Until(gives("early", 6, label="next")),
        real=False,
        note="section 9, 9: as with --allow_version_labels_for_unavailable_models",
    ),
)

RELOAD = (
    _row(
        "reload-waits-for-a-new-model",
        "4.6",
        Publish("new", "1", 1),
        reload(config("new")),
        Now(gives("new", 2)),
        Now(states("new", "1 AVAILABLE")),
    ),
    _row(
        "model-out-of-the-list-is-unloaded",
        "4.6",
        Publish("stays", "1", 1),
        Publish("leaves", "1", 1),
        reload(config("stays"), config("leaves")),
        Throughout(gives("stays", 2), (reload(config("stays")), Until(gone("leaves")))),
        Until(states("leaves", "1 END")),
    ),
    _row(
        "trap-empty-list-unloads-every-model",
        "4.6",
        Publish("last", "1", 1),
        reload(config("last")),
        reload(),
        Until(gone("last")),
    ),
    _row(
        "config-without-a-list-is-refused-and-changes-nothing",
        "4.6",
        Publish("unchanged", "1", 1),
        reload(config("unchanged")),
        Now(
            Grpc(
                id="",
                rule="1.9",
                call=f"{MODEL}/HandleReloadConfigRequest",
                request="config {}",
                code="INVALID_ARGUMENT",
                words=("ServerModelConfig type not supported by HandleReloadConfigRequest.",),
            )
        ),
        Now(gives("unchanged", 2)),
    ),
    _row(
        "new-model-that-fails",
        "4.6",
        Publish("bad", "1", kind="broken"),
        reload(
            config("bad"),
            code="UNKNOWN",
            words=(
                "1 model(s) did not become available: {",
                "{name: bad version: 1} due to error: ",
            ),
        ),
        Until(failed("bad", 1)),
    ),
    _row(
        "trap17-new-model-without-a-path-does-not-hold-up-later-reloads",
        "4.6",
        Begin(
            Grpc(
                id="",
                rule="4.6",
                call=f"{MODEL}/HandleReloadConfigRequest",
                request=f"config {{ {config_list(config('absent'))} }}",
                code="UNKNOWN",
                words=("1 model(s) did not become available: ",),
                timeout=30,
            )
        ),
        Publish("later", "1", 1),
        reload(config("later")),
        Now(gives("later", 2)),
        Finish(),
        real=False,
        note="section 9, 15: TensorFlow Serving blocks without limit, holding the lock",
    ),
    _row(
        "model-that-comes-back-under-another-path",
        "4.6",
        Publish("here", "1", 1),
        Publish("there", "1", 5),
        Publish("there", "2", 7),
        reload(config("path", path="{store}/here")),
        Now(gives("path", 2)),
        reload(config("path", path="{store}/there")),
        Until(gives("path", 8)),
    ),
    _row(
        "reload-tells-metrics-that-were-asked-for",
        "1.9",
        Publish("measured", "1", kind="warmed", adds=1),
        reload(
            config("measured"),
            more="metric_names: '/no/such' metric_names: '/no/such'",
            answer="status { } metric { name: '/no/such' int64_value_increase: 0 }",
        ),
    ),
    _row(
        "config-file-is-read-again",
        "4.6",
        Publish("filed", "1", 1),
        Rewrite(config_list(config("filed"))),
        Until(gives("filed", 2)),
        server="polled",
    ),
    _row(
        "broken-config-file-is-ignored",
        "4.6",
        Publish("steady", "1", 1),
        Rewrite(config_list(config("steady"))),
        Until(gives("steady", 2)),
        Rewrite("model_config_list {} nonsense: 1"),
        Publish("steady", "2", 5),
        Until(gives("steady", 6)),
        server="polled",
    ),
    _row(
        "unchanged-file-does-not-undo-a-reload",
        "4.6",
        Publish("written", "1", 1),
        Publish("sent", "1", 1),
        Rewrite(config_list(config("written"))),
        Until(gives("written", 2)),
        reload(config("sent")),
        Throughout(
            gives("sent", 2), (Publish("sent", "2", 1), Until(states("sent", "2 AVAILABLE", "1 END")))
        ),
        Publish("rewritten", "1", 1),
        Rewrite(config_list(config("rewritten"))),
        Until(gives("rewritten", 2)),
        Until(gone("sent")),
        server="polled",
        real=False,
        note="section 9, 17: TensorFlow Serving puts the file's content back at the next look",
    ),
    _row(
        "labels-in-the-first-config-file",
        "4.5",
        Publish("labelled_file", "1", 1),
        Rewrite(config_list(config("labelled_file", labels={"stable": 1}))),
        Until(gives("labelled_file", 2, label="stable")),
        server="polled",
        real=False,
        note="section 9, 9",
    ),
    _row(
        "request-in-flight-keeps-its-version",
        "4.7",
        Publish("held", "1", kind="slow"),
        reload(config("held")),
        Begin(
            Grpc(
                id="",
                rule="4.7",
                call=f"{PREDICTION}/Predict",
                request=predict(spec("held"), x=tensor("INT64", [1], [300_000])),
                printed=("int64_val: 300000",),
            )
        ),
        reload(),
        Until(gone("held")),
        Finish(),
        Until(states("held", "1 END")),
    ),
)

RUN = 'predict_log { request { inputs { key: "x" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } }'
RECORD = RUN + " float_val: 1 } } } }"
WRONG = RUN + " float_val: 1 } } model_spec { signature_name: 'nope' } } }"


def _warmed(
    row_id: str, name: str, *words: str, records: Sequence[str | bytes] = (), file: bytes | None = None
) -> Scenario:
    """A new model whose warm-up fails is a new model that does not become available."""
    return _row(
        row_id,
        "6",
        Publish(name, "1", kind="warmed", records=records, file=file),
        reload(config(name), code="UNKNOWN", words=("did not become available", *words)),
        Until(failed(name, 1)),
    )


def _warm(row_id: str, name: str, *records: str | bytes) -> Scenario:
    return _row(
        row_id,
        "6",
        Publish(name, "1", 1, kind="warmed", records=records),
        reload(config(name)),
        Now(gives(name, 2)),
    )


WARM_UP = (
    _warm("warm-up-without-records", "warm_none"),
    _warm("warm-up-that-works", "warm_good", RECORD, RECORD),
    _warm("warm-up-record-without-a-log-is-skipped", "warm_blank", b"", "log_metadata {}", RECORD),
    _warm("warm-up-name-and-version-select-nothing", "warm_other",
          RUN + " float_val: 1 } } model_spec { name: 'else' version { value: 99 } } } }"),
    _warm("warm-up-of-a-thousand-records", "warm_1000", *[RECORD] * 1000),
    _warmed("trap20-warm-up-failure-fails-the-load", "warm_bad", "nope", records=(WRONG,)),
    _warmed("trap20-failure-after-a-good-record", "warm_second", records=(RECORD, WRONG)),
    _warmed("warm-up-of-more-than-a-thousand-records", "warm_1001",
            "Number of warmup records exceeds the maximum (1000) at ", records=[RECORD] * 1001),
    _warmed("warm-up-record-that-does-not-parse", "warm_torn", "Failed to parse warmup record: ",
            records=(b"\xff\xff\xff",)),
    _warmed("warm-up-file-that-is-no-tfrecord", "warm_text",
            "Please verify your warmup data is in TFRecord format.", file=b"no records at all\n" * 9),
    _warmed("warm-up-session-run-is-unimplemented", "warm_session", "Unsupported log_type for warmup: ",
            records=("session_run_log { request {} }",)),
    _row("trap20-older-version-stays-up", "6", Publish("warm_old", "1", 1), reload(config("warm_old")),
         Publish("warm_old", "2", kind="warmed", records=(WRONG,)), Until(failed("warm_old", 2)),
         Now(gives("warm_old", 2))),
)  # fmt: skip


def _own_batching(row_id: str, name: str, parameters: str, *steps: Step, rule: str = "7.4") -> Scenario:
    """The polled server batches each version by its own parameters."""
    return _row(
        row_id,
        rule,
        Publish(name, "1", 1, batching=parameters),
        Rewrite(config_list(config(name))),
        *steps,
        server="polled",
    )


def _three(name: str, code: str = "OK", *words: str) -> Grpc:
    request = predict(spec(name), x=floats(1, 2, 3))
    return Grpc(id="", rule="7.4", call=f"{PREDICTION}/Predict", request=request, code=code, words=words)


BATCHING = (
    _own_batching("version-with-its-own-parameters", "own", "max_batch_size { value: 2 }",
                  Until(_three("own", "INVALID_ARGUMENT",
                               "Task size 3 is larger than maximum input batch size 2"))),
    _row("version-without-parameters-is-not-batched", "7.4", Publish("unbatched", "1", kind="scalar"),
         Rewrite(config_list(config("unbatched"))),
         Until(Grpc(id="", rule="7.4", call=f"{PREDICTION}/Predict",
                    request=predict(spec("unbatched"), x=tensor("FLOAT", [], [2.0])),
                    printed=("float_val: 4",))), server="polled"),
    _own_batching("broken-parameters-fail-the-load", "own_broken", "max_batch_size: 2",
                  Until(failed("own_broken", 1))),
    _own_batching("last-allowed-size-is-not-the-largest", "own_sizes",
                  "max_batch_size { value: 8 } allowed_batch_sizes: 4",
                  Until(failed("own_sizes", 1, "Last entry in allowed_batch_sizes must match max_batch_size;"
                               " last entry was 4; expected 8")), rule="7.3"),
)  # fmt: skip

SIGTERM = (
    _row(
        "terminated-server-answers-what-is-under-way-and-takes-no-more",
        "8",
        Publish("last_one", "1", kind="slow"),
        Rewrite(config_list(config("last_one"))),
        Until(states("last_one", "1 AVAILABLE")),
        Begin(
            Grpc(
                id="",
                rule="8",
                call=f"{PREDICTION}/Predict",
                request=predict(spec("last_one"), x=tensor("INT64", [1], [300_000])),
                printed=("int64_val: 300000",),
            )
        ),
        Until(
            Rest(
                id="",
                rule="5",
                method="GET",
                path=PAGE,
                content_type="text/plain",
                text=('kedge_requests_in_flight{transport="grpc"} 1\n',),
            )
        ),
        Terminate(),
        Until(
            Grpc(
                id="",
                rule="8",
                call=f"{MODEL}/GetModelStatus",
                request=f"model_spec {{ {spec('last_one')} }}",
                code="UNAVAILABLE",
            )
        ),
        Finish(),
        server="polled",
        real=False,
        note="section 9, 6: TensorFlow Serving dies at once, with the requests under way",
    ),
)

ROWS = START + SCAN + POLICIES + TRANSITIONS + LABELS + RELOAD + WARM_UP + BATCHING + SIGTERM
