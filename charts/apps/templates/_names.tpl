{{/* Every name of a resource that a template of this chart writes. Others are values: users and Secrets of Kafka and
     Elasticsearch, claims. tests/charts/test_names.py refuses a name written out elsewhere. */}}

{{/* A name by what it names. A service's objects all bear its name. Call with a key. */}}
{{- define "apps.name" -}}
{{- /* Of charts/kafka and charts/elastic; Strimzi and ECK derive the names of their Services from it. */}}
{{- $cluster := "tapeline" }}
{{- $names := dict
  "producer" "tapeline-producer"
  "inference" "inference"
  "board" "tapeline-board"
  "notifier" "tapeline-notifier"
  "trainer" "tapeline-trainer"
  "simulator" "tapeline-simulator"
  "bootstrap" "tapeline-bootstrap"
  "spark" "tapeline-spark"
  "test" "tapeline-test"
  "notifier-state" "tapeline-notifier-state"
  "notifier-targets" "tapeline-notifier-targets"
  "spark-checkpoint" "tapeline-spark-checkpoint"
  "alert-rules" "tapeline-rules"
  "admission-policy" "tapeline-trainer-model-only"
  "first-model" "tapeline-first-model"
  "default-deny" "tapeline-default-deny"
  "producer-group" "tapeline-producer"
  "kafka-cluster" $cluster
  "kafka-bootstrap" (printf "%s-kafka-bootstrap" $cluster)
  "elasticsearch-cluster" $cluster
  "elasticsearch-http" (printf "%s-es-http" $cluster) }}
{{- if not (hasKey $names .) }}{{ fail (printf "\n%s has no name in charts/apps/templates/_names.tpl: add it there." .) }}{{ end }}
{{- index $names . }}
{{- end }}

{{/* The namespace of a service. Call with (dict "root" $ "name" NAME). */}}
{{- define "apps.namespace" -}}
{{- eq .name "inference" | ternary .root.Values.global.inferenceNamespace .root.Release.Namespace }}
{{- end }}
