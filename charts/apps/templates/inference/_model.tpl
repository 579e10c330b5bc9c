{{/* Which model is served. The trainer owns that: what runs is asked first, so an upgrade never takes it back. */}}
{{- define "inference.reference" -}}
{{- $found := "" }}
{{- $running := lookup "apps/v1" "Deployment" .Values.global.inferenceNamespace (include "apps.name" "inference") }}
{{- with $running }}
{{- $found = dig "spec" "template" "metadata" "annotations" "tapeline/model-reference" "" . }}
{{- range dig "spec" "template" "spec" "volumes" list . }}
{{- if and (eq .name "model") .image }}{{- $found = .image.reference }}{{- end }}
{{- end }}
{{- end }}
{{- if not $found }}
{{- $noted := lookup "v1" "ConfigMap" .Release.Namespace (include "apps.name" "first-model") }}
{{- $found = .Values.inference.model.reference | default (dig "data" "reference" "" $noted) }}
{{- end }}
{{- $found }}
{{- end }}

{{/* The volume that the container sees at /models. */}}
{{- define "inference.volume" -}}
{{- $model := .Values.inference.model }}
- name: model
{{- if eq $model.delivery "volume" }}
  persistentVolumeClaim: {claimName: {{ $model.claimName }}, readOnly: true}
{{- else if eq $model.delivery "image-volume" }}
  image: {reference: {{ include "inference.reference" . | quote }}, pullPolicy: IfNotPresent}
{{- else }}
  emptyDir: {sizeLimit: 512Mi}
{{- end }}
{{- end }}

{{/* The init container of the delivery of that name: the digest decides what is taken, not the way to it. */}}
{{- define "inference.fetch" -}}
image: {{ include "apps.image" (dict "root" . "image" .Values.inference.image) | quote }}
imagePullPolicy: {{ .Values.global.imagePullPolicy }}
command: [python, -m, tapeline_inference.fetch]
args:
  - $(MODEL_REFERENCE)
  - /models
  - --registry={{ include "apps.pushRegistry" . }}
  {{- if .Values.registry.insecure }}
  - --insecure
  {{- end }}
  {{- if .Values.registry.caConfigMap }}
  - --ca=/registry-ca/ca.crt
  {{- end }}
env:
  - name: MODEL_REFERENCE
    valueFrom:
      fieldRef: {fieldPath: "metadata.annotations['tapeline/model-reference']"}
resources: {{ toJson .Values.inference.resources }}
securityContext:
  {{- include "apps.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: model, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.registry.caConfigMap }}
  - {name: registry-ca, mountPath: /registry-ca, readOnly: true}
  {{- end }}
{{- end }}
