"""Write the Prometheus operator's PrometheusRule of the production overlay from the rule files.

Kustomize cannot put a file's content into a custom resource, so the resource is generated; a test holds it
against the files. Run it after a change of the rules: python monitoring/prometheus_rule.py
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "k8s" / "overlays" / "production" / "prometheus-rule.yaml"
SOURCES = ("serving", "kubernetes")
HEAD = """\
# Written by monitoring/prometheus_rule.py from monitoring/rules/{name}.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {name}
spec:
"""


def resource(name: str) -> str:
    """Return the PrometheusRule of one rule file: the file's text, indented under `spec`."""
    lines = (HERE / "rules" / f"{name}.yml").read_text().splitlines(keepends=True)
    return HEAD.format(name=name) + "".join(f"  {line}" if line.strip() else line for line in lines)


def resources() -> str:
    """Return the whole manifest."""
    return "---\n".join(resource(name) for name in SOURCES)


if __name__ == "__main__":
    TARGET.write_text(resources())
