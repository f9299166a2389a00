package main

import "github.com/spf13/cobra"

// verbs are all commands, each in a file of its own.
func verbs() []*cobra.Command {
	return []*cobra.Command{
		newAgentCommand(),
		newCheckCommand(),
		newCompileCommand(),
		newDevCommand(),
		newExplainCommand(),
		newExtensionCommand(),
		newHealthcheckCommand(),
		newJudgeCommand(),
		newProxyCommand(),
		newSnapshotCommand(),
		newInstallCommand(),
		newPlanCommand(),
		newUninstallCommand(),
	}
}
