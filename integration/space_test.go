package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// smallDisks mounts a file system of its own for each node's data, or skips the
// test with the reason.
func smallDisks(t *testing.T, nodes []*cluster.Node, mib int) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("small file systems need Linux and root: mount is not possible")
	}
	for _, n := range nodes {
		must(t, os.Mkdir(n.DataDir, 0o700))
		image := n.DataDir + ".img"
		must(t, os.WriteFile(image, nil, 0o600))
		must(t, os.Truncate(image, int64(mib)<<20))
		for _, command := range [][]string{{"mkfs.ext4", "-q", "-m", "0", image}, {"mount", "-o", "loop", image, n.DataDir}} {
			if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Skipf("small file systems are not possible here: %v: %v: %s", command, err, out)
			}
		}
		t.Cleanup(func() {
			if n.Running() {
				_ = n.Kill() // it holds the file system
			}
			if out, err := exec.Command("umount", n.DataDir).CombinedOutput(); err != nil {
				t.Errorf("unmount: %v: %s", err, out)
			}
		})
	}
}

// fill takes all but some MiB of a node's disk.
func fill(t *testing.T, n *cluster.Node, leave int64) (free func()) {
	t.Helper()
	var disk syscall.Statfs_t
	must(t, syscall.Statfs(n.DataDir, &disk))
	left := int64(disk.Bavail)*int64(disk.Bsize) - leave<<20
	path := filepath.Join(n.DataDir, "ballast")
	out, err := exec.CommandContext(t.Context(), "fallocate", "-l", fmt.Sprint(left), path).CombinedOutput()
	if err != nil {
		t.Fatalf("fill the disk of %s: %v: %s", n.Name, err, out)
	}
	return func() { must(t, os.Remove(path)) }
}

// fillUp takes every block of a node's disk, though the node may write at the time.
func fillUp(t *testing.T, n *cluster.Node) (free func()) {
	t.Helper()
	free = fill(t, n, 2)
	file, err := os.OpenFile(filepath.Join(n.DataDir, "ballast"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk of %s: %v", n.Name, err)
	}
	return free
}

func TestFullDisksRefuseWritesUntilThereIsSpace(t *testing.T) {
	t.Parallel()
	c := prepare(t, 3, "--disk-reserve", "64MiB", "--segment-bytes", "1MiB")
	smallDisks(t, c.Nodes(), 512)
	ctx := within(t, time.Minute)
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	w, l := load(t, c, 4)
	must(t, w.WaitFor(ctx, 100))
	writer, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer writer.Close()

	// One full disk, a follower's: the others are a majority.
	leads := leader(t, c)
	followers := c.Followers(leads)
	freeFirst := fill(t, followers[0], 40)
	waitAlarm(t, ctx, leads, "below its reserve of 64 MiB")
	must(t, w.WaitFor(ctx, 100))
	stop(t, w)

	// Two: nothing is written, all that was is read, and it says why.
	freeSecond := fill(t, followers[1], 40)
	probe := prober{writer, l}
	refusal := probe.awaitRefusal(t, ctx)
	for _, n := range followers {
		if !strings.Contains(refusal, n.Name+".") {
			t.Errorf("the refusal does not name %s: %s", n.Name, refusal)
		}
	}
	t.Logf("refused: %s", refusal)
	check(t, c, l)
	if keep := edri(t, leads.URL(), nil, "retention", "set", "--age", "365d"); keep.code != 0 {
		t.Errorf("set retention without space: exit code %d: %s", keep.code, keep.stderr)
	}
	if status := edri(t, leads.URL(), nil, "cluster", "status"); !strings.Contains(status.stdout, "ALARM: ") {
		t.Errorf("cluster status without an alarm:\n%s", status.stdout)
	} else {
		t.Logf("edri cluster status:\n%s", status.stdout)
	}

	// Space again: writes go on by themselves.
	freeFirst()
	freeSecond()
	probe.awaitAppend(t, ctx, "after the space came back")

	// A leader alone without space: another leads, and no client notices.
	w, err = workload.Start(t.Context(), workload.Config{Servers: c.URLs(), Writers: 4, Ledger: l})
	must(t, err)
	must(t, w.WaitFor(ctx, 100))
	leads = leader(t, c)
	freeLeader := fill(t, leads, 40)
	waitUntil(t, ctx, func() bool { return leader(t, c) != leads })
	must(t, w.WaitFor(ctx, 100))
	freeLeader()
	stop(t, w)
	check(t, c, l)
}

// Disks that are full to the last block, whoever filled them: of one node, which
// stops, the others go on; of two, nothing is written until there is space. Nothing
// that was acknowledged is lost, and who stopped starts again.
func TestNodesWithoutAnySpaceStopAndComeBack(t *testing.T) {
	t.Parallel()
	c := prepare(t, 3, "--disk-reserve", "64MiB", "--segment-bytes", "1MiB", "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB")
	smallDisks(t, c.Nodes(), 512)
	ctx := within(t, 90*time.Second)
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	w, l := load(t, c, 4)
	must(t, w.WaitFor(ctx, 100))
	followers := c.Followers(leader(t, c))
	freeFirst := fillUp(t, followers[0])
	code, err := followers[0].WaitExit(ctx)
	must(t, err)
	if code != 10 || !strings.Contains(string(logOf(t, followers[0])), "no space left on device") {
		t.Fatalf("without any space %s ended with exit code %d; want 10", followers[0].Name, code)
	}
	must(t, w.WaitFor(ctx, 200)) // the others are a majority
	freeFirst()
	must(t, followers[0].Start())
	must(t, followers[0].WaitReady(ctx))
	must(t, w.WaitFor(ctx, 100))
	stop(t, w)

	free := []func(){fillUp(t, followers[0]), fillUp(t, followers[1])}
	writer, err := client.New(client.Config{Servers: c.URLs(), GiveUpAfter: 5 * time.Second})
	must(t, err)
	defer writer.Close()
	probe := prober{writer, l}
	n := 0
	waitUntil(t, ctx, func() bool {
		n++
		return probe.append(ctx, fmt.Sprint("while two are full ", n)) != nil
	})
	for i, f := range followers {
		free[i]()
		if !f.Running() {
			must(t, f.Start())
		}
	}
	must(t, c.WaitReady(ctx))
	probe.awaitAppend(t, ctx, "after the space came back")
	check(t, c, l)
}

func waitAlarm(t *testing.T, ctx context.Context, n *cluster.Node, text string) {
	t.Helper()
	waitUntil(t, ctx, func() bool {
		s, err := n.Status(ctx)
		return err == nil && strings.Contains(strings.Join(s.Alarms, "\n"), text)
	})
}

// prober appends single events that the ledger knows.
type prober struct {
	client *client.Client
	ledger *ledger.Ledger
}

func (p prober) append(ctx context.Context, id string) error {
	e := event.Event{ID: id, Source: "/integration/space", Type: "test.space"}
	p.ledger.Sent(e)
	done, err := p.client.Append(ctx, "space", event.ExpectAny, e)
	if err == nil {
		p.ledger.Acknowledged(ledger.Key{Source: e.Source, ID: e.ID}, done.Position, done.Revision)
	}
	return err
}

// awaitRefusal appends until that is refused for want of space.
func (p prober) awaitRefusal(t *testing.T, ctx context.Context) string {
	t.Helper()
	var refusal string
	n := 0
	waitUntil(t, ctx, func() bool {
		n++
		err := p.append(ctx, fmt.Sprint("before ", n))
		if err != nil && event.CodeOf(err) != event.CodeNoSpace {
			t.Fatalf("append without space: %v, want %s", err, event.CodeNoSpace)
		}
		if err != nil {
			refusal = err.Error()
		}
		return err != nil
	})
	return refusal
}

// awaitAppend appends one event as soon as that is possible.
func (p prober) awaitAppend(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	waitUntil(t, ctx, func() bool { return p.append(ctx, id) == nil })
}

// Without small file systems: a reserve that no disk has.
func TestReserveThatIsNotThereRefusesWrites(t *testing.T) {
	t.Parallel()
	c := start(t, 1, "--disk-reserve", "1024GiB")
	ctx := within(t, 30*time.Second)
	w, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer w.Close()
	probe := prober{w, ledger.New()}
	probe.awaitRefusal(t, ctx)
	n := c.Nodes()[0]
	reserve := func(size string) {
		if code, err := n.Terminate(ctx); code != 0 || err != nil {
			t.Fatalf("stop: exit code %d, %v", code, err)
		}
		n.SetArgs(func(args []string) []string { return append(args, "--disk-reserve", size) })
		must(t, n.Start())
	}
	reserve("1MiB")
	probe.awaitAppend(t, ctx, "with a smaller reserve")
	check(t, c, probe.ledger)

	// What deletes needs no space.
	reserve("1024GiB")
	must(t, n.WaitReady(ctx))
	waitAlarm(t, ctx, n, "below its reserve")
	after, err := client.New(client.Config{Servers: c.URLs()}) // with no request from before
	must(t, err)
	defer after.Close()
	if err := (prober{after, probe.ledger}).append(ctx, "after"); event.CodeOf(err) != event.CodeNoSpace {
		t.Errorf("append without space: %v, want %s", err, event.CodeNoSpace)
	}
	if purge := edri(t, n.URL(), nil, "streams", "purge", "space", "--before", "2"); purge.code != 0 {
		t.Errorf("purge without space: exit code %d: %s", purge.code, purge.stderr)
	}
	if keep := edri(t, n.URL(), nil, "retention", "set", "--events", "1"); keep.code != 0 {
		t.Errorf("set retention without space: exit code %d: %s", keep.code, keep.stderr)
	}
}
