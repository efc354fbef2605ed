{{- define "healthd.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "healthd.selector" -}}
app.kubernetes.io/name: healthd
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "healthd.labels" -}}
{{ include "healthd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "healthd.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "healthd.name" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- define "healthd.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{- else -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end -}}

{{/* The catalogue's folders, joined by commas. */}}
{{- define "healthd.folders" -}}
{{- $folders := list -}}
{{- if .Values.checks.includeHost }}{{ $folders = append $folders "/etc/healthd/checks/host" }}{{ end -}}
{{- range $system, $_ := .Values.checks.files }}{{ $folders = append $folders (printf "/etc/healthd/catalogue/%s" $system) }}{{ end -}}
{{- range $system, $_ := .Values.checks.existingConfigMaps }}{{ $folders = append $folders (printf "/etc/healthd/catalogue/%s" $system) }}{{ end -}}
{{- join "," $folders -}}
{{- end -}}
