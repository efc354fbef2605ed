{{- define "healthd.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}{{ printf "%s-%s" .Release.Name $chart | trunc 52 | trimSuffix "-" -}}{{- end -}}
{{- end -}}

{{/* What never changes from version to version: a Deployment's selector cannot be changed. */}}
{{- define "healthd.selector" -}}
app.kubernetes.io/name: healthd
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "healthd.workerSelector" -}}
app.kubernetes.io/name: healthd
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: worker
{{- end -}}

{{- define "healthd.labels" -}}
{{ include "healthd.selector" . }}
app.kubernetes.io/part-of: healthd
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "healthd.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "healthd.name" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{/* Whether pods are given a token for the API server: "true" or "false". */}}
{{- define "healthd.automountToken" -}}
{{- $given := .Values.serviceAccount.automountToken -}}
{{- if kindIs "bool" $given -}}{{ $given }}
{{- else -}}{{ with .Values.rbac }}{{ or (contains "kind:" .manifests) (not (empty (or .rules .clusterRules .namespaces))) }}{{ end }}{{- end -}}
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
{{- join "," (concat $folders .Values.checks.folders) -}}
{{- end -}}

{{/* A value of `config` as text: a whole number stays one. */}}
{{- define "healthd.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* Variables that name the database and what is given as files, for containers of healthd. */}}
{{- define "healthd.env" -}}
{{- if .Values.persistence.enabled }}
- {name: HEALTHD_DATABASE_URL, value: "sqlite:////data/healthd.db"}
{{- else if .Values.database.existingSecret }}
- name: HEALTHD_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.existingSecret | quote }}, key: {{ .Values.database.key | quote }}}}
{{- end }}
{{- range $variable, $_ := .Values.secretFiles }}
- {name: {{ $variable }}_FILE, value: /run/secrets/healthd/{{ $variable }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "healthd.envFrom" -}}
{{- if .Values.config }}
- configMapRef: {name: {{ include "healthd.name" . }}}
{{- end }}
{{- with .Values.existingSecret }}
- secretRef: {name: {{ . | quote }}}
{{- end }}
{{- with .Values.extraEnvFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Mounts of the catalogue and of secret files, and their volumes. */}}
{{- define "healthd.mounts" -}}
{{- range $system, $_ := merge (dict) .Values.checks.files .Values.checks.existingConfigMaps }}
- {name: checks-{{ $system }}, mountPath: /etc/healthd/catalogue/{{ $system }}, readOnly: true}
{{- end }}
{{- if .Values.secretFiles }}
- {name: secrets, mountPath: /run/secrets/healthd, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "healthd.volumes" -}}
{{- range $system, $_ := .Values.checks.files }}
- {name: checks-{{ $system }}, configMap: {name: {{ include "healthd.name" $ }}-checks-{{ $system }}}}
{{- end }}
{{- range $system, $name := .Values.checks.existingConfigMaps }}
- {name: checks-{{ $system }}, configMap: {name: {{ $name | quote }}}}
{{- end }}
{{- if .Values.secretFiles }}
- name: secrets
  projected:
    sources:
      {{- range $variable, $from := .Values.secretFiles }}
      - secret: {name: {{ $from.secret | quote }}, items: [{key: {{ $from.key | quote }}, path: {{ $variable }}}]}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where pods may connect to. */}}
{{- define "healthd.egress" -}}
{{- with .Values.networkPolicy -}}
{{- if .egress }}{{ toYaml .egress }}
{{- else -}}
- to:
    - ipBlock: {cidr: 0.0.0.0/0{{ if .blockMetadata }}, except: [169.254.169.254/32]{{ end }}}
    - ipBlock: {cidr: "::/0"{{ if .blockMetadata }}, except: ["fd00:ec2::254/128"]{{ end }}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a location's workers. A name that would be too long ends in a digest, so that two locations stay two. */}}
{{- define "healthd.workerName" -}}
{{- $whole := printf "%s-worker-%s" (include "healthd.name" .) .worker.location -}}
{{- if gt (len $whole) 63 }}{{ $whole | trunc 54 | trimSuffix "-" }}-{{ $whole | sha256sum | trunc 8 }}{{ else }}{{ $whole }}{{ end -}}
{{- end -}}

{{/* Whether something can name a PostgreSQL: "true", or nothing. */}}
{{- define "healthd.database" -}}
{{- $named := or .Values.database.existingSecret .Values.existingSecret .Values.extraEnvFrom (hasKey .Values.secretFiles "HEALTHD_DATABASE_URL") -}}
{{- range .Values.extraEnv }}{{ if hasPrefix "HEALTHD_DATABASE_URL" .name }}{{ $named = true }}{{ end }}{{ end -}}
{{- if $named }}true{{ end -}}
{{- end -}}

{{/* Refuses what cannot work. */}}
{{- define "healthd.refuse" -}}
{{- $v := .Values -}}
{{- if gt (int $v.replicas) 1 -}}
{{- if $v.persistence.enabled -}}
{{- fail "replicas > 1 needs a PostgreSQL: name it in database.existingSecret (or HEALTHD_DATABASE_URL in existingSecret) and set persistence.enabled to false" -}}
{{- end -}}
{{- if not (include "healthd.database" .) -}}
{{- fail "replicas > 1 needs a PostgreSQL that they share: name it in database.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor are both enabled: every pod would be scraped, and counted, twice; keep one" -}}
{{- end -}}
{{- if $v.workers -}}
{{- if or $v.persistence.enabled (not (include "healthd.database" .)) -}}
{{- fail "workers need a PostgreSQL that they share with the daemon: name it in database.existingSecret and set persistence.enabled to false" -}}
{{- end -}}
{{- $locations := list -}}
{{- range $v.workers }}{{ $locations = append $locations .location }}{{ end -}}
{{- if has "daemon" $locations }}{{ fail "workers: the location daemon stands for the daemon itself" }}{{ end -}}
{{- if ne (len $locations) (len (uniq $locations)) }}{{ fail "workers: each location once; more of them are its replicas" }}{{ end -}}
{{- end -}}
{{- include "healthd.refuseManifests" . -}}
{{- if and $v.persistence.enabled $v.database.existingSecret -}}
{{- fail "database.existingSecret is not used while persistence.enabled is true: set it to false" -}}
{{- end -}}
{{- if not (include "healthd.folders" .) -}}
{{- fail "there is no catalogue: give checks.files, checks.existingConfigMaps, checks.folders or checks.includeHost" -}}
{{- end -}}
{{- range $system, $_ := $v.checks.files -}}
{{- if hasKey $v.checks.existingConfigMaps $system -}}
{{- fail (printf "the system %s is in checks.files and in checks.existingConfigMaps: keep one" $system) -}}
{{- end -}}
{{- end -}}
{{- range list "HEALTHD_CHECKS" "HEALTHD_HOST" "HEALTHD_PORT" "HEALTHD_TLS_CERT" "HEALTHD_TLS_KEY" -}}
{{- if hasKey $v.config . -}}
{{- fail (printf "config.%s is set by the chart: use checks, service or tls" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.config -}}
{{- if regexMatch "^HEALTHD_(TOKEN|DATABASE_URL|.*_SECRETS?|.*_KEY|SLACK_WEBHOOK_URL|WEBHOOK_URL|HEARTBEAT_URL)$" $name -}}
{{- fail (printf "config.%s is a secret: put it into existingSecret or secretFiles" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Refuses grants to another service account than the one pods have: nobody would notice until a check is forbidden. */}}
{{- define "healthd.refuseManifests" -}}
{{- $account := printf "%s/%s" .Release.Namespace (include "healthd.serviceAccount" .) -}}
{{- $granted := list -}}
{{- range splitList "\n---" (ternary .Values.rbac.manifests "" .Values.rbac.create) -}}
{{- $manifest := fromYaml . -}}
{{- with $manifest.Error }}{{ fail (printf "rbac.manifests is not YAML (%s): print it with --kind kubernetes --format yaml" .) }}{{ end -}}
{{- range $manifest.subjects }}{{ if eq .kind "ServiceAccount" }}{{ $granted = append $granted (printf "%s/%s" .namespace .name) }}{{ end }}{{ end -}}
{{- end -}}
{{- if and $granted (not (has $account $granted)) -}}
{{- fail (printf "rbac.manifests grants to the service account %s, and pods have %s: print it with --namespace %s --service-account %s" (first $granted) $account .Release.Namespace (include "healthd.serviceAccount" .)) -}}
{{- end -}}
{{- end -}}
