{{/* Every name of a resource that a template of this chart writes. tests/charts/test_names.py refuses a name written out
     elsewhere. */}}

{{/* The name that everything in front of a Kafka knows; k8s/ and the services' secrets depend on it. */}}
{{- define "kafka.cluster" -}}tapeline{{- end }}

{{- define "kafka.egressPolicy" -}}{{ include "kafka.cluster" . }}-kafka-egress{{- end }}

{{/* Topics by the key of their values. */}}
{{- define "kafka.topics" -}}
{{- toYaml (dict
  "trades" "bybit-trades"
  "gaps" "trade-gaps"
  "rejects" "trade-rejects"
  "counts" "trade-counts"
  "alerts" "trade-alerts"
  "producerSymbols" "producer-shards") }}
{{- end }}

{{/* Users by who they are for; the services read the same values. */}}
{{- define "kafka.users" -}}
{{- toYaml (dict
  "producer" (dig "kafka" "users" "producer" "username" "tapeline-producer" .Values.global)
  "spark" (dig "kafka" "users" "spark" "username" "tapeline-spark" .Values.global)
  "notifier" (dig "kafka" "users" "notifier" "username" "tapeline-notifier" .Values.global)) }}
{{- end }}

{{/* Consumer groups by what reads; that of Spark is a prefix, behind which it makes one for each query. */}}
{{- define "kafka.groups" -}}
{{- toYaml (dict
  "producer" "tapeline-producer"
  "producerResume" "tapeline-producer-resume"
  "spark" "spark-kafka-source"
  "sparkLookback" "tapeline-lookback"
  "notifier" "tapeline-notifier") }}
{{- end }}
