package workflows_test

import (
	"context"
	"errors"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/workflows"
)

// The code of docs/workflows.md stands here and in the files that the test below reads, so that
// it is compiled. guide_run_test.go, example_test.go, and the tests beside the others run it.

var (
	price = workflows.NewStep("price", func(context.Context, string) (int, error) { return 1, nil })
	check = workflows.NewStep("check", func(context.Context, Order) (struct{}, error) { return struct{}{}, nil })
)

func countRows(string) int                         { return 0 }
func importRow(context.Context, string, int) error { return nil }

var ImportFile = workflows.NewStep("import", func(ctx context.Context, file string) (int, error) {
	row, _ := workflows.HeartbeatDetails[int](ctx) // 0, where nothing is known
	for ; row < countRows(file); row++ {
		if err := importRow(ctx, file, row); err != nil {
			return 0, err
		}
		if err := workflows.Heartbeat(ctx, row+1); err != nil {
			return 0, err
		}
	}
	return row, nil
}, workflows.StepOptions{Heartbeat: time.Minute})

var Compare = workflows.Define("compare", 1, func(ctx workflows.Context, shops []string) (int, error) {
	var offers []workflows.Awaitable
	var prices []*workflows.Future[int]
	for _, shop := range shops {
		f := price.Start(ctx, shop)
		prices, offers = append(prices, f), append(offers, f)
	}
	if err := workflows.All(ctx, offers...); err != nil {
		return 0, err
	}
	best := math.MaxInt
	for _, f := range prices {
		p, err := f.Get(ctx)
		if err != nil {
			return 0, err
		}
		best = min(best, p)
	}
	return best, nil
})

var Counter = workflows.Define("counter", 1, func(ctx workflows.Context, n int) (int, error) {
	workflows.HandleQuery(ctx, "value", func(struct{}) (int, error) { return n, nil })
	workflows.HandleUpdate(ctx, "add", func(_ workflows.Context, d int) (int, error) {
		n += d
		return n, nil
	}, func(d int) error {
		if d < 0 {
			return errors.New("counts up only")
		}
		return nil
	})
	stop, _, err := workflows.Signals[bool](ctx, "stop").ReceiveFor(ctx, 24*time.Hour)
	if err != nil || stop {
		return n, err
	}
	return 0, workflows.ContinueAsNew(n)
})

var Approve = workflows.Define("approve", 1, func(ctx workflows.Context, _ Order) (string, error) {
	approved := workflows.Signals[string](ctx, "approved")
	by, err := approved.Receive(ctx)
	for errors.Is(err, &workflows.Error{Type: workflows.ErrorInvalid}) {
		by, err = approved.Receive(ctx) // what is no text is passed over
	}
	return by, err
})

var Checked = workflows.Define("checked", 1, func(ctx workflows.Context, o Order) (string, error) {
	if workflows.Version(ctx, "check address", 0, 1) >= 1 {
		if _, err := check.Do(ctx, o); err != nil {
			return "", err
		}
	}
	return charge.Do(ctx, o)
})

func TestGuideHasCodeThatIsCompiled(t *testing.T) {
	t.Parallel()
	guide := read(t, "../docs/workflows.md")
	var code string
	for _, file := range []string{
		"guide_test.go", "guide_run_test.go", "example_test.go", "../client/workflows_guide_test.go",
		"../examples/hello/main.go", "../examples/hello/main_test.go",
	} {
		code += read(t, file)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(guide, -1)
	if len(blocks) < 16 {
		t.Fatalf("the guide has %d pieces of code", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code, block[1]) {
			t.Errorf("this code of the guide is compiled nowhere:\n%s", block[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
