// Package workflows runs workflows: Go functions of many steps that go on over every crash, of
// their worker, of the leader, of all nodes. docs/workflows.md is the guide to it.
//
// # Write a workflow, and run it
//
// A [Step] is a Go function that does something; a [Function] calls steps, and waits:
//
//	var greet = workflows.NewStep("greet", func(ctx context.Context, name string) (string, error) {
//		return "hello, " + name, nil // tried again until it returns no error
//	})
//
//	var Hello = workflows.Define("hello", 1, func(ctx workflows.Context, name string) (string, error) {
//		if err := workflows.Sleep(ctx, 24*time.Hour); err != nil {
//			return "", err
//		}
//		return greet.Do(ctx, name)
//	})
//
// A program that has a [Runner] is a worker of it, one of as many as are wanted:
//
//	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:7420"}})
//	runner, err := workflows.NewRunner(workflows.Config{}, Hello)
//	err = runner.Run(ctx, c) // until ctx ends
//
// A run is one execution of the function. Package client starts runs (StartRun), sends them
// signals, asks them, and waits for their results; so does the command edri workflow. Package
// workflowstest has a cluster in memory for tests, where a day passes at once. examples/hello
// is the whole of this, examples/orders more.
//
// # What the function may do
//
//   - wait: [Sleep], [After], [WithTimeout], [Await]
//   - have something done: [Step]; [Request], by a worker in any language; [Function.StartChild]
//   - hear from outside: [Signals], [NextEvent], [HandleQuery], [HandleUpdate]
//   - several things at once: [Future], [All], [First], [FirstN], [Go]
//   - undo, continue as new, be found: [Compensate], [ContinueAsNew], [Upsert]
//   - what varies: [Now], [Random], [NewID], [Version]
//
// All that it does goes through its [Context]. Everything else must be deterministic, as the
// function runs again from its beginning after a crash, and is given what was recorded: time,
// randomness, files and networks belong in steps. What differs pauses the run, and nothing is
// lost; [Check] holds code to recorded histories before it is deployed.
//
// Errors of what the function asked for are an [*Error], whose Type says which: [ErrorTimeout],
// [ErrorCanceled] and so on, or the type that the code gave by [NewError]. How a step is tried
// again is its [Retry].
//
// The rest of this is how it works. The package knows the cluster only as [Cluster], so that
// the same code runs in a server and in a process of the user's own.
//
// # The loop
//
// A worker feeds the code what has come for its run, one input after the other, and the
// code runs after each until it waits. What it asked for, and the inputs, are the records
// of one advance: one commit, all of it or nothing.
//
//	       entries (signals, timers, responses …)
//	leader ───────────────────────────▶ inputs ──▶ code, on coroutines
//	  ▲                                   ▲             │ asks for timers, requests …: records
//	  │      results of steps             │             │ asks for steps
//	  │      ┌────────────────────────────┘             │
//	  │   step functions ◀── once the advance before ───┤
//	  │                      them is committed          ▼
//	  └──────────────────────────────────────────── advance: inputs and records
//
// So a run of three steps costs four commits: its start, and one for each result, the
// last of which brings the end. A step that is asked for is not recorded; its result is.
// One advance of a run is under way at a time, and meanwhile what comes is queued. The
// exceptions are steps that run at most once, which are recorded before they begin, and
// details of heartbeats, which are recorded while an attempt goes on, now and then.
//
// A worker that gets a run which is not new runs the code from its beginning and feeds it
// the inputs of the history. What the code asks for is held to what was recorded; where
// the two differ, the run is blocked, with both in the details, and nothing is committed.
//
// # What a crash costs
//
//	worker or leader is lost              lost                    done twice
//	────────────────────────              ────                    ──────────
//	before a step begins                  nothing                 nothing
//	while a step runs                     the attempt             what it did outside¹
//	step is done, its advance not sent    the attempt             what it did outside¹
//	advance sent, not committed           nothing: sent again, or what it did outside¹ if
//	                                      the attempt             the worker is gone
//	advance committed, answer lost        nothing: the nonce      nothing
//	                                      tells the repeat
//	after that                            nothing                 nothing
//	a worker comes back after another     its attempts            what they did outside¹; of
//	has the run                                                   the effects one is committed
//
//	¹ which is to be deduplicated by EffectID. With one attempt a step is never done
//	twice: it fails with ErrorUnknown.
//
// What was lost while it ran counts as an attempt of the step, so that a step which kills
// its worker comes to the end of its attempts; a graceful stop does not.
//
// The details of heartbeats ([HeartbeatDetails]) are with the attempt's failure, or where a
// graceful stop ends it, in the advance after. While it runs they are in an advance 10 s
// after they were said, later in a long attempt; what was not in one goes with the worker.
// An advance with them that is sent twice, or comes from a worker whose run is another's,
// is told from others as above, so that they never go back; those of an attempt that is
// over are not sent.
//
// # Invariants
//
//  1. A machine (machine.go) is a pure function of its inputs: neither clock, randomness
//     nor map order comes to the code or to what is recorded. Results of steps have the
//     worker's time, entries the cluster's; the code sees them in their records only.
//  2. At most one coroutine of a run runs at a time, and its owner waits for it.
//  3. Nothing acts on what is not committed: steps begin, and are canceled, when the
//     records before that are.
//  4. While an advance is under way nothing is fed. So what is not committed is its inputs,
//     and if it is refused the machine is made anew from the history and fed others: the
//     result as a failure where its effects were refused, entries that came meanwhile
//     before the result that was to end the run.
//  5. An advance has the effects of one step at most, and each has the same ids on each
//     attempt.
//  6. Code that panics, does not give way, or ends by a signal that it could not decode, has
//     its inputs committed and nothing of what it made of them.
//
// # Goroutines
//
//	Run ── host.work, one for each version of the workflow that has most
//	         ├─ receive, one for each session
//	         ├─ live.turn, for each run that has something to do: its machine's owner
//	         │     └─ coroutine.main, for the code: parked unless its owner waits for it
//	         └─ task.run, for each step that waits for a slot or runs
//
// Run waits for all of them. A step's function that does not return though its context
// has ended is left behind after the grace, and code that does not give way is (it ends
// when it next uses its context); [Runner.Stats] counts both.
//
// Queues are bounded by others: a run has no more entries than the cluster lets it have
// open, no more results than steps, and one heartbeat of each; there are no more runs than
// Config.CacheSize.
//
// Where two locks meet: live.mu may be taken while host.mu is held, never the other way
// around; task.mu meets no other.
package workflows
