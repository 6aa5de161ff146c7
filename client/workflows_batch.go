package client

import (
	"context"
	"iter"
	"sync"
)

const (
	defaultBatchConcurrency = 16
	maxBatchConcurrency     = 256
)

// BatchOptions say how a batch is done.
type BatchOptions struct {
	// Concurrency is how many runs are changed at a time, up to 256; 0: 16.
	Concurrency int
	// Page is how many runs are done between two results, at most 1,000; 0: 100.
	Page int
	// Cursor is where an earlier batch with the same filter ended.
	Cursor string
}

// BatchPage is what came of some of the runs.
type BatchPage struct {
	Results []BatchResult // in the order of the list
	// Cursor goes on with what is behind; empty: all are done.
	Cursor string
}

// BatchResult is what came of one run.
type BatchResult struct {
	Run Run // as it was found
	Err error
}

// Batch does something to each run that matches a filter. do gets the run by its number, so
// that no later run of the ID is meant, and is called on several goroutines. A run that do
// has changed so that the filter does not match it any more is no harm; neither is to begin
// again from the start, or from a cursor, after an interruption, where doing twice is none.
// The sequence ends after the first error of the list itself; when ctx ends, results of
// what was not done have its error.
func (c *Client) Batch(ctx context.Context, filter string, o BatchOptions, do func(context.Context, RunID) error) iter.Seq2[BatchPage, error] {
	workers := o.Concurrency
	if workers <= 0 {
		workers = defaultBatchConcurrency
	}
	workers = min(workers, maxBatchConcurrency)
	return func(yield func(BatchPage, error) bool) {
		list := ListOptions{Page: o.Page, Cursor: o.Cursor, Consistency: Linearizable}
		for page, err := range c.RunPages(ctx, filter, list) {
			if err != nil {
				yield(BatchPage{}, err)
				return
			}
			if !yield(BatchPage{doAll(ctx, page.Runs, workers, do), page.Cursor}, nil) {
				return
			}
		}
	}
}

// doAll does something to each run, some at a time.
func doAll(ctx context.Context, runs []Run, workers int, do func(context.Context, RunID) error) []BatchResult {
	results := make([]BatchResult, len(runs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(runs)) {
		wg.Go(func() {
			for i := range next {
				results[i] = BatchResult{Run: runs[i], Err: ctx.Err()}
				if results[i].Err == nil {
					results[i].Err = do(ctx, runs[i].RunID)
				}
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}
