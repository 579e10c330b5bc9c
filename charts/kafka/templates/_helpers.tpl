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

{{/* Quotas of a KafkaUser; Kafka counts bytes. */}}
{{- define "kafka.quotas" -}}
producerByteRate: {{ mul .writeMiBPerS 1048576 }}
consumerByteRate: {{ mul .readMiBPerS 1048576 }}
requestPercentage: {{ .requestPercent }}
{{- end }}
