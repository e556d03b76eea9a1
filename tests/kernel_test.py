"""What jupyter_kernel_test is given to try; tests/kernel_test.rs runs it."""

import unittest

import jupyter_kernel_test


class Kernel(jupyter_kernel_test.KernelTests):
    kernel_name = "itd"
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("a word");'
    completion_samples = [
        {"text": "let zebra_crossing = 1; zebra_cros", "matches": {"zebra_crossing"}},
        {"text": "std::mem::swa", "matches": {"swap"}},
    ]
    complete_code_samples = [
        "1",
        "let x = f()?;",
        "fn f() {}\nf()",
        ":vars",
        "%%opt 3\nlet x = 1;",
        'r#"abc"#',
        "// words",
        "?x",
        "",
    ]
    incomplete_code_samples = ["fn f() {", 'let s = "abc', "/* words", '"abc\\"', "f(", "let x ="]
    invalid_code_samples = [")", "let = 3;", "f(]"]
    code_page_something = ":help"
    code_generate_error = 'panic!("no");'
    code_execute_result = [
        {"code": "1 + 41", "result": "42"},
        {"code": '"ab".repeat(2)', "result": '"abab"'},
        {"code": "vec![0.5, 1.5]", "result": "[0.5, 1.5]"},
        {"code": 'Markdown("**bold**".into())', "mime": "text/markdown", "result": "**bold**"},
    ]
    code_display_data = [
        {"code": 'Markdown("**bold**".into()).show()?;', "mime": "text/markdown"},
        {"code": 'Html("<b>bold</b>".into()).show()?;', "mime": "text/html"},
        {"code": 'Latex("x^2".into()).show()?;', "mime": "text/latex"},
    ]
    code_history_pattern = "1 ? 4[1]"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "std::mem::swap"
    code_clear_output = (
        "itd_prelude::cell::send(&itd_prelude::cell::Frame::Clear { wait: false });"
    )


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "itd"
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
