package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// idle tells the memory of nodes that have stored nothing yet.
func (b *bench) idle(context.Context) error {
	idle, err := b.memory()
	if err != nil {
		return err
	}
	fmt.Printf("idle, with an empty window: anonymous memory per node %s\n", mebibytes(idle))
	return nil
}

// fullMemory tells the memory under load when the deduplication window is full.
func (b *bench) fullMemory(ctx context.Context) error {
	stored, err := b.fill(ctx)
	if err != nil {
		return err
	}
	return b.observe(ctx, fmt.Sprintf("load by 1024 producers after %d events", stored),
		"bench", "append", "--producers", "1024", "--rounds", "1", "--duration", "15s")
}

// memory returns the largest anonymous resident memory of the nodes, in bytes;
// 0 where the system does not tell.
func (b *bench) memory() (int64, error) {
	var most int64
	for _, n := range b.cluster.Nodes() {
		rss, err := anonymous(n.Pid())
		if os.IsNotExist(err) {
			return 0, nil // not Linux
		}
		if err != nil {
			return 0, err
		}
		most = max(most, rss)
	}
	return most, nil
}

// watchMemory samples memory until the function that it returns is called, which
// returns the largest sample.
func (b *bench) watchMemory(ctx context.Context) func() int64 {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var most int64
	wg.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// A node that is gone is noticed by what is measured.
				now, _ := b.memory()
				most = max(most, now)
			}
		}
	})
	return func() int64 {
		cancel()
		wg.Wait()
		return most
	}
}

// anonymous reads RssAnon of a process.
func anonymous(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "RssAnon:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		return kib << 10, err
	}
	return 0, lines.Err()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
