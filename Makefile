# Everything is run from here; `make` alone lists it. Needs Python >= 3.11 and make, the rest comes with `make setup`.
include versions.env
.DEFAULT_GOAL := help
PYTHON ?= python3
# NAME (demo): a stack's name; its state lies in .tapeline/NAME, and two names run side by side. Python reads and checks
# it, as all variables of the command line, from the environment: no shell sees it.
export TAPELINE_VARIABLES = $(MAKEOVERRIDES)

# Processes are started by the dozen here; without byte code each compiles our own modules anew.
unexport PYTHONDONTWRITEBYTECODE
RUN := .venv/bin/python
UV := .tools/uv-$(UV_VERSION)/bin/uv
STAMP := .tools/setup.stamp
LOCAL := $(RUN) -m tapeline_local
CLUSTER := PYTHONPATH=local $(PYTHON) -m tapeline_local.cluster $(if $(DRY_RUN),--dry-run)
# `make images BUILD_NETWORK=host EXTRA_CA_FILE=ca.pem` where builds reach PyPI only so; INDEX_URL, MAVEN_URL, NPM_URL for mirrors.
REGISTRY ?= localhost:5001
IMAGE_FLAGS = --registry "$(REGISTRY)" --base-image "$(BASE_IMAGE)" --network "$(BUILD_NETWORK)" \
	--extra-ca "$(EXTRA_CA_FILE)" --only "$(ONLY)"
MEMBERS := lib/tapeline lib/clients services/producer services/simulator services/inference services/trainer services/board services/notifier spark-apps dashboards local

.PHONY: help dashboards dashboards-check setup up down status urls demo live check format lint types isolate test-unit test test-charts test-stack test-cluster bench lock board \
	images load bootstrap-model seed-model chart-schema kind-up kind-down operators

help:
	@awk -f local/help.awk $(firstword $(MAKEFILE_LIST))

$(STAMP): uv.lock versions.env local/artifacts.lock local/packages.lock local/bootstrap.py $(MEMBERS:%=%/pyproject.toml) \
		local/tapeline_local/setup/prepare.py local/tapeline_local/setup/class_archives.py
	@$(PYTHON) local/bootstrap.py && touch $@

##@ Start
setup: ## get everything (Python packages, Java, Kafka, Elasticsearch, Spark); again: look and say what is there
	@$(PYTHON) local/bootstrap.py && touch $(STAMP)
up: $(STAMP) ## start the whole stack in the background
	@$(RUN) -m tapeline_local.variables up
	-@$(RUN) -m tapeline_local.setup.frontend
	@$(LOCAL) up
down: ## stop it; its data stays
	@if [ -x $(RUN) ]; then $(LOCAL) down; else echo "nothing is set up, so nothing runs"; fi
status: $(STAMP) ## what runs, since when, with how much memory
	@$(LOCAL) status
urls: $(STAMP) ## where to look
	@$(LOCAL) urls
demo: $(STAMP) ## trades through the whole stack, before your eyes (DEMO_SECONDS, CAPTURE, SPEED, EXCHANGE, PRODUCERS, NOTIFIER_TARGETS)
	@$(RUN) -m tapeline_local.variables demo
	-@$(RUN) -m tapeline_local.setup.frontend
	@$(RUN) -m tapeline_local.demo
live: ## the same with the real exchange
	@EXCHANGE=bybit $(MAKE) --no-print-directory demo

board: $(STAMP) ## build the board's page, where its sources have changed
	@$(RUN) -m tapeline_local.setup.frontend

##@ Check
check: $(STAMP) ## everything that needs no servers, cheapest first
	@$(MAKE) --no-print-directory -j 2 format lint types isolate test-charts
	@$(MAKE) --no-print-directory test-unit
format: $(STAMP) ## formatting as ruff writes it (`make format FIX=1` rewrites)
	@.venv/bin/ruff format $(if $(FIX),,--check) .
lint: $(STAMP) ## ruff's rules of pyproject.toml
	@.venv/bin/ruff check $(if $(FIX),--fix) .
types: $(STAMP) ## mypy: strict in all members, plain in the benchmarks; TypeScript's own for the board's page
	@.venv/bin/mypy --strict $(MEMBERS) $(wildcard benchmarks/*.py)
	@$(RUN) -m tapeline_local.setup.frontend --check
isolate: $(STAMP) ## every member imports only what it declares
	@$(RUN) local/isolate.py $(UV) $(MEMBERS)
test-unit: $(STAMP) ## pure tests, no network
	@$(RUN) -m pytest tests/unit -n 2 --dist worksteal

##@ Test
test: check test-stack ## everything, on a fresh clone too
test-charts: $(STAMP) ## the charts, rendered and held against the schemas of Kubernetes and the operators
	@$(RUN) -m pytest tests/charts -n 2 --dist worksteal
test-stack: $(STAMP) board ## against a real Kafka, Elasticsearch, Spark and browser
	@$(RUN) -m tapeline_local.setup.browser
	@$(RUN) -m pytest tests/stack -m alone
	@$(RUN) -m pytest tests/stack -m "not alone" -n 2 --dist loadfile --no-loadscope-reorder
dashboards-check: $(STAMP) ## the rules of Kibana's dashboards, planted faults, every panel's numbers on a real Elasticsearch, drawings
	@$(RUN) -m tapeline_dashboards check
	@$(RUN) -m pytest tests/unit/dashboards tests/stack/test_dashboards.py
test-cluster: $(STAMP) ## on the cluster that KUBECONFIG names (operators and `make images load` first)
	@$(RUN) -m pytest tests/cluster
bench: $(STAMP) ## throughput and latency of this machine
	@$(RUN) -m benchmarks

##@ Ship
images: ## build all images with Docker (ONLY=producer,spark for some; DRY_RUN=1 prints what it would do)
	@$(CLUSTER) images $(IMAGE_FLAGS)
load: ## push them to the local registry, or to another one: REGISTRY=host:port
	@$(CLUSTER) load $(IMAGE_FLAGS)
bootstrap-model: $(STAMP) ## push a first model, which always predicts 0.5, and record it in the cluster (CONTEXT, INSECURE=1)
	@$(CLUSTER) bootstrap-model $(IMAGE_FLAGS) --context "$(CONTEXT)" \
		$(if $(INSECURE)$(filter localhost:%,$(REGISTRY)),--insecure)
seed-model: bootstrap-model
dashboards: $(STAMP) ## load the dashboards into a Kibana: KIBANA_URL=https://host:5601 (DASHBOARDS_USERNAME, DASHBOARDS_PASSWORD_FILE, ...)
	@$(if $(KIBANA_URL),DASHBOARDS_KIBANA_URL="$(KIBANA_URL)") $(RUN) -m tapeline_dashboards load
chart-schema: $(STAMP) ## write the settings blocks of charts/apps/values.schema.json anew after a change of settings
	@$(RUN) -m tapeline_local.cluster.chart_schema
lock: $(STAMP) ## write uv.lock anew after a change of dependencies
	@$(UV) lock

##@ Cluster
kind-up: ## a kind cluster with registry, operators and our images; again: what is missing (KEDA=1, IMAGES=no, FORCE=1)
	@$(CLUSTER) kind-up $(IMAGE_FLAGS) $(if $(KEDA),--keda) $(if $(FORCE),--force) $(if $(filter no,$(IMAGES)),--without-images)
kind-down: ## remove it (ALL=1: its registry too)
	@$(CLUSTER) kind-down $(if $(ALL),--all)
operators: ## only the operators, into any cluster: the current context, or CONTEXT=name (KEDA=1: with KEDA)
	@$(CLUSTER) operators --context "$(CONTEXT)" $(if $(KEDA),--keda)
