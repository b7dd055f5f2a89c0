package bench

import (
	"fmt"
	"time"
)

// officeWork is a turn of somebody who writes, reads mail and browses.
func (h *host) officeWork(s *script) {
	home := `C:\Users\` + h.user.login
	switch h.rng.intn(6) {
	case 0:
		if h.running("outlook.exe") == nil {
			o := s.exec("explorer.exe", msOff+"OUTLOOK.EXE", "")
			s.noise(o, 20)
			return
		}
		s.noise(h.running("outlook.exe"), 12)
	case 1:
		doc := h.fill(home + `\Documents\{word}.docx`)
		w := s.exec("explorer.exe", msOff+"WINWORD.EXE", `"`+msOff+`WINWORD.EXE" /n "`+doc+`" /o ""`)
		s.file("create", w, h.fill(home+`\Documents\~${word}.docx`))
		s.noise(w, 15)
		if h.rng.chance(200) {
			p := s.exec(w, `C:\Windows\splwow64.exe`, `C:\Windows\splwow64.exe 8192`)
			s.wait(2*time.Second, 8*time.Second).exit(p)
		}
		s.wait(10*time.Second, 60*time.Second)
		s.rename(w, h.fill(home+`\Documents\{hex8}.tmp`), doc)
		s.exit(w)
	case 2:
		e := s.exec("explorer.exe", msOff+"EXCEL.EXE", h.fill(`"`+msOff+`EXCEL.EXE" "`+home+`\Documents\{word}.xlsx"`))
		s.noise(e, 15)
		s.wait(10*time.Second, 60*time.Second).exit(e)
	case 3, 4:
		h.browse(s)
	default:
		if h.running("teams.exe") == nil {
			t := s.exec("explorer.exe", home+`\AppData\Local\Microsoft\Teams\current\Teams.exe`, `"`+home+`\AppData\Local\Microsoft\Teams\current\Teams.exe"`)
			s.exec(t, home+`\AppData\Local\Microsoft\Teams\current\Teams.exe`, `Teams.exe --type=gpu-process --gpu-preferences=UAAAAA`)
			return
		}
		n := s.exec("explorer.exe", sys32+"notepad.exe", h.fill(`"`+sys32+`notepad.exe" `+home+`\Desktop\{word}.txt`))
		s.wait(3*time.Second, 20*time.Second).exit(n)
	}
}

// browse opens a page in a browser: one process for everything, one for every page.
func (h *host) browse(s *script) {
	b := h.running("msedge.exe")
	if b == nil {
		b = s.exec("explorer.exe", edge, `"`+edge+`" --profile-directory=Default`)
		s.exec(b, edge, `"`+edge+`" --type=crashpad-handler --monitor-self-annotation=ptype=crashpad-handler`)
		s.exec(b, edge, `"`+edge+`" --type=gpu-process --field-trial-handle=1840,i`)
		s.exec(b, edge, `"`+edge+`" --type=utility --utility-sub-type=network.mojom.NetworkService --lang=en-US`)
	}
	r := s.exec(b, edge, fmt.Sprintf(`"%s" --type=renderer --lang=en-US --js-flags=--ms-user-locale= --renderer-client-id=%d`, edge, h.rng.intn(90)))
	s.noise(b, 18)
	s.wait(10*time.Second, 90*time.Second)
	s.exit(r)
}

// developerWork is a turn of somebody who writes and builds programs.
func (h *host) developerWork(s *script) {
	editor := h.running("code.exe")
	if editor == nil {
		editor = s.exec("explorer.exe", vscode, `"`+vscode+`" C:\src\shop`)
		s.exec(editor, vscode, `"`+vscode+`" --type=renderer --user-data-dir=C:\Users\`+h.user.login+`\AppData\Roaming\Code`)
		s.noise(editor, 10)
		return
	}
	shell := func() *proc {
		p := s.exec(editor, posh, `"`+posh+`" -noexit -command "try { . 'C:\Program Files\Microsoft VS Code\shellIntegration.ps1' } catch {}"`)
		s.exec(p, sys32+"conhost.exe", `\??\`+sys32+`conhost.exe 0x4`)
		return p
	}
	switch h.rng.intn(6) {
	case 0:
		for _, args := range []string{"status -z -uall", "for-each-ref --sort -committerdate", "diff --cached --name-only"} {
			g := s.run(editor, `C:\Program Files\Git\cmd\git.exe`, "git.exe "+args)
			s.noise(g, 2)
		}
	case 1:
		p := shell()
		g := s.exec(p, goRoot+`bin\go.exe`, "go build ./...")
		for i := range 3 + h.rng.intn(6) {
			c := s.exec(g, goRoot+`pkg\tool\windows_amd64\compile.exe`, fmt.Sprintf(`"%spkg\tool\windows_amd64\compile.exe" -o $WORK\b%03d\_pkg_.a -trimpath "$WORK\b%03d=>" -p shop/internal -complete`, goRoot, i, i))
			s.noise(c, 6)
			s.wait(50*time.Millisecond, 600*time.Millisecond).exit(c)
		}
		l := s.run(g, goRoot+`pkg\tool\windows_amd64\link.exe`, goRoot+`pkg\tool\windows_amd64\link.exe -o $WORK\b001\exe\a.out.exe`)
		s.file("create", l, `C:\Users\`+h.user.login+`\AppData\Local\Temp\go-build1\b001\exe\a.out.exe`)
		s.exitWith(g, int64(h.rng.intn(2)))
		s.exit(p)
	case 2:
		p := shell()
		c := s.exec(p, sys32+"cmd.exe", `C:\Windows\system32\cmd.exe /d /s /c "npm run build"`)
		n := s.exec(c, `C:\Program Files\nodejs\node.exe`, `"C:\Program Files\nodejs\node.exe" "C:\Program Files\nodejs\node_modules\npm\bin\npm-cli.js" run build`)
		s.noise(n, 30)
		s.wait(time.Second, 9*time.Second)
		s.exit(n, c, p)
	case 3:
		v := s.exec("explorer.exe", `C:\Program Files\Microsoft Visual Studio\2022\Professional\Common7\IDE\devenv.exe`, `"devenv.exe" C:\src\billing\billing.sln`)
		m := s.exec(v, `C:\Program Files\Microsoft Visual Studio\2022\Professional\MSBuild\Current\Bin\amd64\MSBuild.exe`, `MSBuild.exe /nologo /nodemode:1 /nodeReuse:true /low:false`)
		for range 2 {
			c := s.run(m, `C:\Program Files\Microsoft Visual Studio\2022\Professional\MSBuild\Current\Bin\Roslyn\csc.exe`, `csc.exe /noconfig @"C:\Users\`+h.user.login+`\AppData\Local\Temp\MSBuildTemp\tmp1.rsp"`)
			s.noise(m, 8)
			_ = c
		}
		s.wait(20*time.Second, 70*time.Second).exit(m, v)
	case 4:
		p := shell()
		s.run(p, sys32+`OpenSSH\ssh.exe`, "ssh build01.corp.example git pull")
		s.run(p, sys32+"curl.exe", "curl -s http://localhost:8080/healthz")
		s.run(p, sys32+"whoami.exe", "whoami")
		s.exit(p)
	default:
		h.browse(s)
	}
}
