package main

import "github.com/spf13/cobra"

// verbs are all commands, each in a file of its own.
func verbs() []*cobra.Command {
	return []*cobra.Command{
		newAPIPipeCommand(),
		newAgentCommand(),
		newApproveCommand(),
		newCheckCommand(),
		newClaimsCommand(),
		newCompileCommand(),
		newConfigCommand(),
		newCoreCommand(),
		newDevCommand(),
		newEngineCommand(),
		newExplainCommand(),
		newExtensionCommand(),
		newHealthcheckCommand(),
		newInstallCommand(),
		newJudgeCommand(),
		newMigrateCommand(),
		newPlanCommand(),
		newProblemsCommand(),
		newProxyCommand(),
		newRoutesCommand(),
		newSnapshotCommand(),
		newStatusCommand(),
		newUninstallCommand(),
	}
}
