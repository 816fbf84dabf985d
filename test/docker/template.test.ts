/** Templates, beside what the docker CLI 28 prints for the same ones. */
import { describe, expect, test } from "bun:test";
import { Template, TemplateError } from "../../src/docker/template/index.ts";

const ONE = {
  Id: "4fd8c6c1aa6e",
  Name: "/one",
  Args: ["1000"],
  State: { Status: "running", Pid: 42, Health: null },
  HostConfig: {
    Memory: 73400320,
    CapAdd: null,
    PidsLimit: null,
    LogConfig: { Type: "json-file", Config: {} },
  },
  Config: { Labels: { a: "b", z: "w", x: "y" }, Env: ["A=B", "PATH=/bin"], Volumes: null },
  Mounts: [{ Type: "bind", Source: "/tmp", Destination: "/mnt", RW: false }],
};

const run = (text: string) =>
  new Template(text, {
    maps: new Set(["Labels"]),
    nil: (field) => (field === "Volumes" ? "map[]" : field === "PidsLimit" ? "<nil>" : "[]"),
  }).execute(ONE);

describe("what a template prints", () => {
  test.each([
    ["{{.Name}}", "/one"],
    ["{{ .State.Status }} {{.State.Pid}}", "running 42"],
    ["{{.ID}}|{{.Id}}", "4fd8c6c1aa6e|4fd8c6c1aa6e"],
    ["{{.Config.Labels.nope}}", "<no value>"],
    ['{{index .Config.Labels "nope"}}', ""],
    ['{{index .Config.Labels "x"}}', "y"],
    ["{{.HostConfig.CapAdd}} {{.Config.Volumes}} {{.HostConfig.PidsLimit}}", "[] map[] <nil>"],
    ["{{.Config.Labels}} {{.Config.Env}}", "map[a:b x:y z:w] [A=B PATH=/bin]"],
    ["{{.State}} {{.Mounts}}", "{running 42 []} [{bind /tmp /mnt false}]"],
    ["{{.HostConfig}}", "{73400320 [] <nil> {json-file {}}}"],
    ["{{range .Mounts}}{{.}}{{end}}", "{bind /tmp /mnt false}"],
    ["a\\tb", "a\\tb"],
    ['{{.Name | upper | printf "%5s|%-8s|%q" "x" "y"}}', '    x|y       |"/ONE"'],
    ['{{join .Args ","}} {{split .Name "n"}}', "1000 [/o e]"],
    ['{{title "foo bar"}} {{pad "x" 2 3}}| {{truncate .Name 2}} {{lower "AB"}}', "Foo Bar   x   | /o ab"],
    ['{{println "a" 1}}', "a 1\n"],
    ["{{range .Mounts}}{{.Source}}{{else}}x{{end}}", "/tmp"],
    ["{{range .HostConfig.CapAdd}}{{.}}{{else}}none{{end}}", "none"],
    ["{{range $i, $m := .Mounts}}{{$i}}{{$m.Destination}}{{end}}", "0/mnt"],
    ["{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "a=b x=y z=w "],
    ['{{range $k, $v := .Config.Labels}}{{$k}}{{if eq $k "a"}}{{continue}}{{end}}={{$v}}{{end}}', "ax=yz=w"],
    ["{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=B"],
    ["{{range 3}}{{.}}{{end}}", "012"],
    [
      '{{eq .Name "/one" "b"}} {{and 1 0}} {{or 0 "x"}} {{not true}} {{gt 2 1}} {{lt "a" "b"}}',
      "true 0 x false true true",
    ],
    ["{{ne 1 2}} {{le 1 1}} {{ge 1 2}}", "true true false"],
    ['{{ "a" -}}  b {{- "c"}}', "abc"],
    ['{{.State.Pid | printf "%05d"}}', "00042"],
    ["{{json .Mounts}}", '[{"Type":"bind","Source":"/tmp","Destination":"/mnt","RW":false}]'],
    ["{{json .Config.Volumes}}", "null"],
    ['{{printf "%T %v %x" .Name .Args .Name}}', "string [1000] 2f6f6e65"],
    [
      '{{printf "%d" .Name}} {{printf "%s" 3}} {{printf "%s"}} {{printf "x" 1}}',
      "%!d(string=/one) %!s(int=3) %!s(MISSING) x%!(EXTRA int=1)",
    ],
    ["{{/* c */}}x{{- /* d */ -}} y", "xy"],
    ["{{(index .Mounts 0).Source}}", "/tmp"],
    ["{{slice .Name 1 2}}", "o"],
    ['{{html "<a>"}}', "&lt;a&gt;"],
    ["{{.Name | }}", "/one"],
    ["{{$.Name}} {{$x := .State}}{{$x.Pid}} {{$x.Status | upper}}", "/one 42 RUNNING"],
    ["{{with .State}}{{.Pid}}{{end}}{{with .Args}}{{index . 0}}{{end}}", "421000"],
    ["{{if .State.Health}}a{{else if .Name}}b{{else}}c{{end}}", "b"],
    ["{{$n := 0}}{{range .Config.Env}}{{$n = 5}}{{end}}{{$n}}", "5"],
    ["{{len .Mounts}} {{len .Name}} {{len .Config.Labels}}", "1 4 3"],
    ['{{`raw "x"`}} {{"tab\\t"}}|', 'raw "x" tab\t|'],
    ["{{index .Config.Env 0}}", "A=B"],
    ["{{.HostConfig.Memory}}", "73400320"],
    ['{{.State.Status | eq "running"}}', "true"],
    ["{{print 1 2 .Name}}", "1 2/one"],
    ['{{define "x"}}<{{.}}>{{end}}{{template "x" .Name}}{{template "x" 3}}', "</one><3>"],
    ['{{template "x"}}{{define "x"}}[{{.}}]{{end}}', "[<no value>]"],
    ['{{block "x" .State}}{{.Pid}}{{end}} {{template "x" .State}}', "42 42"],
    ['{{range .Mounts}}{{template "x" .}}{{end}}{{define `x`}}{{$.Source}}{{end}}', "/tmp"],
    ['{{$n := 1}}{{template "x" $n}}{{$n}}{{define "x"}}{{$n := 2}}{{$n}}{{end}}', "21"],
    [
      '{{define "down"}}{{.}}{{if .}}{{template "down" (slice . 1)}}{{end}}{{end}}{{template "down" "abc"}}',
      "abcbcc",
    ],
    ['{{define "x"}} {{end}}{{define "x"}}b{{end}}{{define "x"}}{{end}}{{template "x"}}', "b"],
  ])("%s", (text, printed) => expect(run(text)).toBe(printed));
});

describe("what is wrong with a template, in Go's words", () => {
  test.each([
    ["{{.Name", "template: :1: unclosed action"],
    ["{{foo .Name}}", 'template: :1: function "foo" not defined'],
    ["{{end}}", "template: :1: unexpected {{end}}"],
    ["{{else}}", "template: :1: unexpected {{else}}"],
    ["{{if .Name}}", "template: :1: unexpected EOF"],
    ["a\n{{if}}x{{end}}", "template: :2: missing value for if"],
    ["{{}}", "template: :1: missing value for command"],
    ['{{"x}}', "template: :1: unterminated quoted string"],
    ["{{.Name}} {{%}}", 'template: :1: unexpected "%" in command'],
    ["{{$y}}", 'template: :1: undefined variable "$y"'],
    ["{{(.Name}}", "template: :1: unclosed left paren"],
    ["{{break}}", "template: :1: {{break}} outside {{range}}"],
    ['{{range .Args}}{{block "x" .}}{{break}}{{end}}{{end}}', "template: :1: {{break}} outside {{range}}"],
    ["{{range .Args}}{{break 1}}{{end}}", 'template: :1: unexpected "1" in {{break}}'],
    ["{{define x}}{{end}}", 'template: :1: unexpected "x" in define clause'],
    ['{{define "x"}}', "template: :1: unexpected EOF"],
    ['{{define "x"}}a{{else}}b{{end}}', "template: :1: unexpected {{else}} in define clause"],
    ['{{if 1}}{{define "x"}}{{end}}{{end}}', "template: :1: unexpected <define> in command"],
    [
      '{{define "x"}}a{{end}}{{define "x"}}b{{end}}',
      'template: :1: template: multiple definition of template "x"',
    ],
    ['{{if 1}}{{end "abcdefghijklmnop"}}', 'template: :1: unexpected "\\"abcdefghi"... in end'],
    ["{{.Name.}}", "template: :1: unexpected <.> in operand"],
    ["{{block .}}{{end}}", "template: :1: unexpected <.> in block clause"],
    ["{{template}}", 'template: :1: unexpected "}}" in template clause'],
    ['{{block "x"}}{{end}}', "template: :1: missing value for block clause"],
    ['{{$n := 1}}{{define "x"}}{{$n}}{{end}}', 'template: :1: undefined variable "$n"'],
  ])("%s", (text, message) => expect(() => new Template(text)).toThrow(new TemplateError(message)));

  test.each([
    ["{{.State.Status}} {{.Foo}}", 'template: :1:20: executing "" at <.Foo>: map has no entry for key "Foo"'],
    ["{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'],
    ["{{.Name.X}}", 'template: :1:7: executing "" at <.Name.X>: can\'t evaluate field X in type string'],
    [
      "{{index .Mounts 5}}",
      'template: :1:2: executing "" at <index .Mounts 5>: error calling index: index out of range: 5',
    ],
    ["{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'],
    ["{{1 2}}", 'template: :1:2: executing "" at <1>: can\'t give argument to non-function 1'],
    [
      '{{eq 1 "a"}}',
      'template: :1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison',
    ],
    [
      '{{define "x"}}{{template "x" .}}{{end}}{{template "x" .State}}',
      'template: :1:25: executing "x" at <{{template "x" .}}>: exceeded maximum template depth (1000)',
    ],
    [
      'a {{template "x" .Name}}',
      'template: :1:13: executing "" at <{{template "x" .Name}}>: template "x" not defined',
    ],
    [
      '{{define "x"}}{{.Foo}}{{end}}{{template "x" .State}}',
      'template: :1:16: executing "x" at <.Foo>: map has no entry for key "Foo"',
    ],
    ["{{nil}}", 'template: :1:2: executing "" at <nil>: nil is not a command'],
    [
      "{{.State.Health.Status}}",
      'template: :1:8: executing "" at <.State.Health.Status>: nil pointer evaluating interface {}.Status',
    ],
  ])("%s", (text, message) => expect(() => run(text)).toThrow(new TemplateError(message)));
});
