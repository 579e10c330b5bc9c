# Prints the targets of a Makefile by their `##@ group` and `## text` comments.
/^##@ / { printf "\n%s\n", substr($0, 5); next }
/^[a-z-]+:.*## / { name = $0; sub(/:.*/, "", name); text = $0; sub(/.*## /, "", text); printf "  %-11s %s\n", name, text }
END { print "" }
