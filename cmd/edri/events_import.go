package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// defaultImportTimeout is longer than that of other commands: an import that
// waits for a cluster to come back saves its user the next run.
const defaultImportTimeout = 2 * time.Minute

// largeInput is a file that takes seconds to read.
const largeInput = 1 << 30

type importFlags struct {
	producer string
	strict   bool
	quiet    bool
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Import events, one CloudEvent in JSON per line",
		Long: `Import newline-delimited CloudEvents in JSON from a file or, with -, from standard
input, and go on over failovers. Each bad line is reported with its number and its
reason, on standard error; the others are stored. Blank lines count and do nothing.

The cluster remembers under the producer's name how many lines it has executed,
for good, and of 100,000 names at most.
While no node serves it goes on trying for 2m, unless --timeout says otherwise.
After any interruption run the same command again: it goes on behind the last line,
and nothing is stored twice. The name is by default made from the file's content; a
file that was changed is another one. Under one name there must be one input, only
growing at its end: lines that were executed are not looked at for changes, but one
that is shorter is refused.

With --strict the first bad line ends the import, and nothing behind it is stored.
Each line then waits for the one before, which is much slower. A line that the
cluster refused counts as executed: another run goes on behind it.`,
		Example: `  edri events import events.ndjson
  zcat events.ndjson.gz | edri events import - --producer 2026-01-events`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.producer, "producer", "", "name under which the cluster remembers the last line; default from the file's content, required for -")
	flags.BoolVar(&f.strict, "strict", false, "stop at the first bad line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if !cmd.Flags().Changed("timeout") {
			a.timeout = defaultImportTimeout
		}
		return a.importFile(ctx, args[0], f)
	})
	return cmd
}

func (a *app) importFile(ctx context.Context, path string, f importFlags) error {
	in, err := a.openInput(path)
	if err != nil {
		return err
	}
	defer in.close()
	show := newProgress(a.stderr, f.quiet, in.size)
	name := f.producer
	switch {
	case name != "":
		if err := event.CheckName("producer", name); err != nil {
			return usagef("--producer: %w", err)
		}
	case in.file == nil:
		return usagef("--producer is required for what is not a plain file: a name for this input")
	default:
		if in.size >= largeInput && !f.quiet {
			show.line("reading the file once for the digest that names it")
		}
		if name, err = in.digestName(ctx); err != nil {
			return err
		}
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	im := &importer{
		open: func(ctx context.Context) (producer, error) {
			p, err := c.Producer(ctx, name)
			return clientProducer{p}, err
		},
		lines:  newLineReader(in.reader),
		strict: f.strict,
		report: func(line uint64, err error) { show.line("line %d: %s", line, printable(err.Error())) },
		show:   show,
	}
	show.start()
	err = im.run(ctx)
	show.stop()
	if err == nil {
		err = in.checkUnchanged()
	}
	if err == nil || im.total.Lines > 0 {
		err = errors.Join(err, a.writeSummary(name, im.total, show.elapsed()))
	}
	switch {
	case errors.Is(err, errOtherInput):
		return err // another run would end like this one
	case err != nil && im.total.Last > 0:
		return fmt.Errorf("%w; run the same command again to go on behind line %d", err, im.total.Last)
	case err != nil:
		return err
	case im.total.Bad > 0:
		return fmt.Errorf("%d bad lines", im.total.Bad)
	}
	return nil
}

// summary is what an import has done. Its JSON form is stable.
type summary struct {
	Producer string `json:"producer"`
	// Lines of the input that were looked at, blank ones too.
	Lines  uint64 `json:"lines,string"`
	Stored uint64 `json:"stored,string"`
	// Duplicates were there already, under the same source and id.
	Duplicates uint64 `json:"duplicates,string"`
	// Skipped were executed by an earlier run.
	Skipped uint64 `json:"skipped,string"`
	Bad     uint64 `json:"bad,string"`
	// Unconfirmed were executed in this run, and what came of each is not known
	// any more.
	Unconfirmed uint64 `json:"unconfirmed,string"`
	// Last is the last line that the cluster has executed.
	Last    uint64  `json:"last_line,string"`
	Seconds float64 `json:"seconds"`
}

func (a *app) writeSummary(producer string, s summary, took time.Duration) error {
	s.Producer, s.Seconds = producer, took.Seconds()
	if a.output != outputText {
		return a.writeJSON(s)
	}
	text := fmt.Sprintf("stored %d, duplicates %d, skipped %d, bad %d", s.Stored, s.Duplicates, s.Skipped, s.Bad)
	if s.Unconfirmed > 0 {
		text += fmt.Sprintf(", executed without a result %d", s.Unconfirmed)
	}
	_, err := fmt.Fprintf(a.stdout, "%s (%s in %s)\n", text, counted(s.Lines, "line"), took.Round(10*time.Millisecond))
	return wrapWrite(err)
}

// input is what is imported.
type input struct {
	reader io.Reader
	file   *os.File // nil: not a plain file
	size   int64    // 0: not known
	before os.FileInfo
}

func (a *app) openInput(path string) (*input, error) {
	if path == "-" {
		return &input{reader: a.stdin}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open input: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("open input: %w", err)
	case info.IsDir():
		err = usagef("%s is a folder", path)
	}
	if err != nil {
		_ = file.Close() // nothing was read
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return &input{reader: file}, nil
	}
	return &input{reader: file, file: file, size: info.Size(), before: info}, nil
}

func (in *input) close() {
	if in.file != nil {
		_ = in.file.Close() // only read
	}
}

// digestName reads the file once and returns a producer's name for its content.
func (in *input) digestName(ctx context.Context) (string, error) {
	digest := sha256.New()
	if _, err := io.Copy(digest, readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return in.file.Read(b)
	})); err != nil {
		return "", fmt.Errorf("read input: %w", err)
	}
	if _, err := in.file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read input: %w", err)
	}
	return "import-sha256-" + hex.EncodeToString(digest.Sum(nil)), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

var errInputChanged = errors.New("the file was changed while it was imported: its lines may not be those that its name stands for")

func (in *input) checkUnchanged() error {
	if in.file == nil {
		return nil
	}
	after, err := in.file.Stat()
	if err != nil {
		return fmt.Errorf("check input: %w", err)
	}
	if after.Size() != in.before.Size() || !after.ModTime().Equal(in.before.ModTime()) {
		return errInputChanged
	}
	return nil
}

// clientProducer is a client's Producer as importer sees it.
type clientProducer struct{ p *client.Producer }

func (c clientProducer) Last() uint64 { return c.p.Last() }
func (c clientProducer) Close()       { c.p.Close() }
func (c clientProducer) Commit(ctx context.Context, first, last uint64, ops []client.Op) (pending, error) {
	// A nil *Pending must not become a pending that is not nil.
	p, err := c.p.Commit(ctx, first, last, true, ops)
	if err != nil {
		return nil, err
	}
	return p, nil
}
