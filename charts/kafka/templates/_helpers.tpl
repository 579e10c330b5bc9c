{{/* The name that everything in front of a Kafka knows; k8s/ and the services' secrets depend on it. */}}
{{- define "kafka.cluster" -}}tapeline{{- end }}

{{- define "kafka.labels" -}}
app.kubernetes.io/name: kafka
app.kubernetes.io/part-of: tapeline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Annotations of what must survive `helm uninstall` when the values say so. */}}
{{- define "kafka.keep" -}}
{{- if .Values.keepOnUninstall }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{- define "kafka.users" -}}
{{- toYaml (dict
  "producer" (dig "kafka" "users" "producer" "username" "tapeline-producer" .Values.global)
  "spark" (dig "kafka" "users" "spark" "username" "tapeline-spark" .Values.global)
  "notifier" (dig "kafka" "users" "notifier" "username" "tapeline-notifier" .Values.global)) }}
{{- end }}

{{/* Quotas of a KafkaUser; Kafka counts bytes. */}}
{{- define "kafka.quotas" -}}
producerByteRate: {{ mul .writeMiBPerS 1048576 }}
consumerByteRate: {{ mul .readMiBPerS 1048576 }}
requestPercentage: {{ .requestPercent }}
{{- end }}
