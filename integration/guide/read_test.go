package guide

import (
	"maps"
	"slices"
	"testing"
)

const sample = "before\n" +
	"## One\n" +
	"```sh\n# a comment\nfirst\nsecond \\\n  goes on\n\n```\n" +
	"| code | meaning |\n|---|---|\n| `1` | `a` and `b` |\n" +
	"## Two\n" +
	"```yaml\n# n1.yaml\nnode-id: n1\n```\n" +
	"```\nnot run\n```\n"

func TestChaptersAreRead(t *testing.T) {
	t.Parallel()
	chapters, err := parse(sample)
	if err != nil || len(chapters) != 3 {
		t.Fatalf("%d chapters, %v", len(chapters), err)
	}
	one, err := Find(chapters, "One")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := one.Commands(), []string{"first", "second \\\n  goes on"}; !slices.Equal(got, want) {
		t.Errorf("commands %q, want %q", got, want)
	}
	if len(one.Tables) != 1 || len(one.Tables[0].Rows) != 1 {
		t.Fatalf("tables %v", one.Tables)
	}
	if got, want := one.Tables[0].Rows[0], []string{"1", "`a` and `b`"}; !slices.Equal(got, want) {
		t.Errorf("row %q, want %q", got, want)
	}
	two := chapters[2]
	if got, want := two.Files(), map[string]string{"n1.yaml": "# n1.yaml\nnode-id: n1\n"}; !maps.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	if got := two.Commands(); len(got) > 0 {
		t.Errorf("commands %q of a block without a language", got)
	}
}

func TestABlockWithoutEndIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := parse("```sh\nls\n"); err == nil {
		t.Error("no error")
	}
	if _, err := Find(nil, "One"); err == nil {
		t.Error("found a chapter where there is none")
	}
}
