import { Session } from './session';

export const metadata = { title: 'next-auth' };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>
        <Session>{children}</Session>
      </body>
    </html>
  );
}
