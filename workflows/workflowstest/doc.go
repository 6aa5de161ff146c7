// Package workflowstest has a cluster in memory for tests of workflows: those of package
// workflows, and those of users.
//
// [Cluster] keeps runs as the engine of a real one does: an advance takes effect whole or
// not at all, what comes for a run waits in its inbox, timers fire, children run, and a
// run whose worker is gone goes to another. It tells time by package time alone, so that
// in a bubble of testing/synctest hours pass at once.
//
//	synctest.Test(t, func(t *testing.T) {
//		c := workflowstest.NewCluster()
//		ctx, stop := context.WithCancel(t.Context())
//		var worker sync.WaitGroup
//		worker.Go(func() { runner.Run(ctx, c) })
//		synctest.Wait() // until the workflows are known
//		number, err := c.Start(workflows.Start{ID: "o1", Type: "fulfil", Input: input})
//		result, err := c.Wait(ctx, "o1")
//		…
//		stop()
//		worker.Wait()
//	})
//
// It can lose workers and answers, and refuse advances: see [Cluster.OnAdvance] and
// [Cluster.LoseWorkers].
package workflowstest
