{{/* Labels of every object. Call with (dict "root" $ "name" NAME). */}}
{{- define "apps.labels" -}}
{{ include "apps.selector" .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Labels that find the pods of a service; they may never change, Deployments keep them for life. */}}
{{- define "apps.selector" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: tapeline
{{- end }}

{{/* Full reference of an image. Call with (dict "root" $ "image" VALUES). */}}
{{- define "apps.image" -}}
{{- $global := .root.Values.global }}
{{- $name := printf "%s/%s" $global.imageRegistry .image.repository }}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}{{ else }}{{ $name }}:{{ .image.tag | default $global.imageTag }}{{ end }}
{{- end }}

{{/* What the restricted profile asks of a pod. Call with the user id. */}}
{{- define "apps.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What the restricted profile asks of a container, and a root file system that nobody can write to. */}}
{{- define "apps.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where pods may run. Call with (dict "root" $ "name" NAME "values" VALUES). */}}
{{- define "apps.scheduling" -}}
{{- with .root.Values.topologyKeys }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "apps.selector" $.name | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- include "apps.placement" .values }}
{{- end }}

{{- define "apps.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "apps.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Settings by field name as environment variables; JSON, for YAML would write a million as 1e+06. */}}
{{- define "apps.settings" -}}
{{- range $field, $value := .settings }}
{{ $.prefix }}{{ upper $field }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* HTTP probes of a service. Ready and live are two questions: an outage elsewhere must not end a process. */}}
{{- define "apps.probes" -}}
startupProbe:
  httpGet: {path: /health/live, port: http}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: 3
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /health/live, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
{{- end }}

{{/* The number of replicas, where nothing else decides it. Call with the service's values. */}}
{{- define "apps.replicas" -}}
{{- if eq .autoscaling.kind "none" }}
replicas: {{ .replicas }}
{{- end }}
{{- end }}

{{/* "true" where more than one replica may run. */}}
{{- define "apps.isMany" -}}
{{- gt (int (eq .autoscaling.kind "none" | ternary .replicas .autoscaling.maxReplicas)) 1 | ternary "true" "" }}
{{- end }}
